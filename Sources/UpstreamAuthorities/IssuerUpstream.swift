package import Foundation
package import GRPCCore
internal import GRPCProtobuf
internal import IssuerAPIProtos
package import IssuerDomain
package import Logging
package import Platform
package import SPIFFE
internal import SwiftProtobuf

/// An upstream that is another issuer of the same trust domain, over the calls it has for servers below it.
///
/// Each question has a connection of its own: they are rare, and each then presents the identity of the moment.
package struct IssuerUpstream<Transport: ClientTransport>: UpstreamAuthority {
    /// Opens a transport that presents this server's identity, to an issuer that must prove its own.
    package typealias Connect = @Sendable () async throws(UpstreamError) -> Transport

    private let trustDomain: TrustDomain
    private let connect: Connect
    private let clock: any WallClock
    private let logger: Logger

    /// Creates an upstream; nothing is connected before it is asked something.
    ///
    /// - Parameters:
    ///   - trustDomain: The trust domain of both issuers.
    ///   - clock: Paces asking for changes.
    ///   - logger: Told once when the upstream goes away, and once when it is back.
    ///   - connect: Opens a transport for one question.
    package init(
        trustDomain: TrustDomain, clock: any WallClock, logger: Logger, connect: @escaping Connect
    ) {
        (self.trustDomain, self.clock, self.logger, self.connect) = (trustDomain, clock, logger, connect)
    }

    package func mint(
        request: [UInt8], lifetime: Duration, now: Date
    ) async throws(UpstreamError) -> UpstreamIntermediate {
        let answer = try await ask { client throws in
            try await Spire_Api_Server_Svid_V1_SVID.Client(wrapping: client).newDownstreamX509CA(
                .with {
                    $0.csr = Data(request)
                    $0.preferredTtl = Int32(clamping: lifetime.wholeSeconds)
                }, options: Self.options(UpstreamTimes.mint))
        }
        guard !answer.caCertChain.isEmpty, !answer.x509Authorities.isEmpty else {
            throw .badAnswer(detail: "a chain without certificates or without roots")
        }
        guard answer.caCertChain.count <= UpstreamWire.maximumChain,
            answer.x509Authorities.count <= UpstreamWire.maximumRoots
        else { throw .badAnswer(detail: "more certificates than anybody needs") }
        return UpstreamIntermediate(
            chain: answer.caCertChain.map { Array($0) },
            roots: answer.x509Authorities.map { UpstreamRoot(certificate: Array($0)) })
    }

    package func publish(_ key: UpstreamJWTKey) async throws(UpstreamError) -> [UpstreamJWTKey] {
        let answer = try await ask { client throws in
            try await Spire_Api_Server_Bundle_V1_Bundle.Client(wrapping: client).publishJWTAuthority(
                .with { $0.jwtAuthority = Spire_Api_Types_JWTKey(key) }, options: Self.options(UpstreamTimes.publish))
        }
        return try UpstreamWire.keys(answer.jwtAuthorities)
    }

    package func updates() -> AsyncStream<UpstreamTrust> {
        let last = LastSeen<UpstreamTrust>()
        let reachable = LastSeen<Bool>()
        return AsyncStream {
            while !Task.isCancelled {
                do throws(UpstreamError) {
                    let trust = try await trust()
                    if reachable.isNews(true) { logger.info("upstream authority answers") }
                    if last.isNews(trust) { return trust }
                } catch {
                    // Whoever follows goes on with what it has.
                    if reachable.isNews(false) {
                        logger.warning("upstream authority cannot be asked", metadata: ["error": "\(error)"])
                    }
                }
                do { try await clock.sleep(for: UpstreamTimes.poll) } catch { return nil }
            }
            return nil
        }
    }

    private func trust() async throws(UpstreamError) -> UpstreamTrust {
        let bundle = try await ask { client throws in
            try await Spire_Api_Server_Bundle_V1_Bundle.Client(wrapping: client).getBundle(
                Spire_Api_Server_Bundle_V1_GetBundleRequest(), options: Self.options(UpstreamTimes.bundle))
        }
        return try UpstreamWire.trust(bundle, of: trustDomain)
    }

    private func ask<Answer: Sendable>(
        _ question: @Sendable (GRPCClient<Transport>) async throws -> Answer
    ) async throws(UpstreamError) -> Answer {
        let transport = try await connect()
        do {
            return try await withGRPCClient(transport: transport) { client in try await question(client) }
        } catch let error as RPCError {
            throw UpstreamWire.error(error)
        } catch { throw .unavailable(detail: "\(error)") }
    }

    private static func options(_ timeout: Duration) -> CallOptions {
        var options = CallOptions.defaults
        options.timeout = timeout
        // It fails at once where nobody listens, rather than at the end of its time.
        options.waitForReady = false
        return options
    }
}

/// How long an upstream may take, and how often it is asked.
enum UpstreamTimes {
    static let mint = Duration.seconds(30)
    static let publish = Duration.seconds(5)
    static let bundle = Duration.seconds(10)
    static let poll = Duration.seconds(5)
}
