import Foundation
import GRPCCore
import GRPCNIOTransportHTTP2Posix
import IssuerAPIProtos
import IssuerDomain
import Platform
import SPIFFE
import SwiftProtobuf
import TestSupport
import Testing
import UpstreamAuthorities

@Suite("An upstream authority that is another issuer")
struct IssuerUpstreamTests {
    private let now = CertificateRecipe.now
    private let key = UpstreamJWTKey(
        keyID: "own", publicDER: [7], notAfter: Date(timeIntervalSince1970: 1_800_000_600))

    @Test("A request goes up with the lifetime wanted, and the chain and roots come down as they are")
    func mint() async throws {
        try await withUpstream { upstream, issuer, _ in
            issuer.script.chain = [[1], [2]]
            issuer.script.roots = [[3], [4]]
            let minted = try await upstream.mint(request: [9], lifetime: .seconds(600), now: now)
            #expect(minted.chain == [[1], [2]])
            #expect(minted.roots == [UpstreamRoot(certificate: [3]), UpstreamRoot(certificate: [4])])
            #expect(issuer.asked.minted.map(\.csr) == [Data([9])])
            #expect(issuer.asked.minted.map(\.preferredTtl) == [600])
            _ = try await upstream.mint(request: [9], lifetime: .seconds(1 << 40), now: now)
            #expect(issuer.asked.minted.last?.preferredTtl == .max)
        }
    }

    @Test("A JWT key goes up, and all keys there come down")
    func publish() async throws {
        try await withUpstream { upstream, issuer, _ in
            issuer.script.bundle.jwtAuthorities = [
                .with {
                    $0.keyID = "old"
                    $0.publicKey = Data([8])
                    $0.tainted = true
                }
            ]
            let keys = try await upstream.publish(key)
            #expect(issuer.asked.published.map(\.keyID) == ["own"])
            #expect(issuer.asked.published.map(\.expiresAt) == [1_800_000_600])
            #expect(
                keys == [UpstreamJWTKey(keyID: "old", publicDER: [8], notAfter: nil, isTainted: true), key])
        }
    }

    @Test("An answer that no issuer would give is refused")
    func badAnswers() async throws {
        try await withUpstream { upstream, issuer, _ in
            for (chain, roots) in [
                ([], [[2]]), ([[1]], []), (Array(repeating: [1], count: 17), [[2]]),
                ([[1]], Array(repeating: [2], count: 1001)),
            ] as [([[UInt8]], [[UInt8]])] {
                issuer.script.chain = chain
                issuer.script.roots = roots
                let error = await #expect(throws: UpstreamError.self) {
                    try await upstream.mint(request: [9], lifetime: .seconds(600), now: now)
                }
                guard case .badAnswer? = error else {
                    Issue.record("expected a bad answer, got \(String(describing: error))")
                    return
                }
            }
            issuer.script.bundle.jwtAuthorities = Array(repeating: .init(), count: 1001)
            await #expect(throws: UpstreamError.badAnswer(detail: "too many JWT keys")) {
                try await upstream.publish(key)
            }
        }
    }

    @Test(
        "What the issuer says is told apart: no, not now, and not at all",
        arguments: [
            (.permissionDenied, .refused(detail: "permission denied")),
            (.invalidArgument, .refused(detail: "invalid argument")),
            (.failedPrecondition, .refused(detail: "failed precondition")),
            (.unavailable, .unavailable(detail: "unavailable")),
            (.deadlineExceeded, .unavailable(detail: "deadline exceeded")),
            (.unimplemented, .unsupported),
        ] as [(RPCError.Code, UpstreamError)])
    func statuses(code: RPCError.Code, expected: UpstreamError) async throws {
        try await withUpstream { upstream, issuer, _ in
            issuer.script.failure = RPCError(code: code, message: "because")
            let error = await #expect(throws: UpstreamError.self) { try await upstream.publish(key) }
            switch (error, expected) {
            case (.refused(let detail)?, .refused), (.unavailable(let detail)?, .unavailable):
                #expect(detail.hasSuffix("because"))
            case (.unsupported?, .unsupported): break
            default: Issue.record("got \(String(describing: error))")
            }
        }
    }

    @Test("Nobody to connect to is the upstream being away")
    func away() async throws {
        let upstream = IssuerUpstream<HTTP2ClientTransport.Posix>(
            trustDomain: try TrustDomain("example.org"), clock: ManualClock(now), logger: LogCollector().logger()
        ) { () throws(UpstreamError) in throw .unavailable(detail: "no agent") }
        await #expect(throws: UpstreamError.unavailable(detail: "no agent")) { try await upstream.publish(key) }
    }

    @Test("An issuer that does not answer a publication is given up after five seconds")
    func publicationTimesOut() async throws {
        try await withUpstream { upstream, issuer, _ in
            issuer.script.delay = .seconds(20)
            let clock = ContinuousClock()
            let began = clock.now
            let error = await #expect(throws: UpstreamError.self) { try await upstream.publish(key) }
            #expect((.seconds(4)...(.seconds(15))).contains(clock.now - began))
            guard case .unavailable? = error else {
                Issue.record("got \(String(describing: error))")
                return
            }
        }
    }

    @Test("A bundle is told when it changes, not each time it is asked for, and failures in between are no change")
    func updates() async throws {
        try await withUpstream { upstream, issuer, clock in
            var updates = upstream.updates().makeAsyncIterator()
            let first = await updates.next()
            #expect(first?.roots == [UpstreamRoot(certificate: [2])])
            #expect(first?.jwtKeys == [])
            async let second = updates.next()
            clock.advance(by: .seconds(5))
            issuer.script.failure = RPCError(code: .unavailable, message: "away")
            for _ in 0..<3 { await settle(clock) }
            issuer.script.failure = nil
            issuer.script.bundle.x509Authorities.append(
                .with {
                    $0.asn1 = Data([5])
                    $0.tainted = true
                })
            let ticking = Task {
                while !Task.isCancelled { await settle(clock) }
            }
            let changed = await second
            ticking.cancel()
            #expect(
                changed?.roots == [
                    UpstreamRoot(certificate: [2]), UpstreamRoot(certificate: [5], isTainted: true),
                ])
        }
    }

    @Test("A bundle of another trust domain, or without roots, is never passed on")
    func foreignBundle() async throws {
        try await withUpstream { upstream, issuer, clock in
            let good = issuer.script.bundle
            issuer.script.bundle.trustDomain = "evil.example"
            let ticking = Task {
                await settle(clock)
                issuer.script.bundle = .with { $0.trustDomain = "example.org" }
                await settle(clock)
                issuer.script.bundle = good
                while !Task.isCancelled { await settle(clock) }
            }
            var updates = upstream.updates().makeAsyncIterator()
            #expect(await updates.next()?.roots == [UpstreamRoot(certificate: [2])])
            ticking.cancel()
        }
    }

    private func settle(_ clock: ManualClock) async {
        try? await Task.sleep(for: .milliseconds(20))
        clock.advance(by: .seconds(5))
    }

    private func withUpstream(
        _ body:
            @Sendable (IssuerUpstream<HTTP2ClientTransport.Posix>, FakeUpstreamIssuer, ManualClock) async throws ->
            Void
    ) async throws {
        let (issuer, clock) = (FakeUpstreamIssuer(), ManualClock(now))
        try await TemporaryFolder.use { folder in
            let path = "\(folder)/upstream.sock"
            let upstream = IssuerUpstream(
                trustDomain: try TrustDomain("example.org"), clock: clock, logger: LogCollector().logger()
            ) { () throws(UpstreamError) in
                do {
                    return try HTTP2ClientTransport.Posix(
                        target: .unixDomainSocket(path: path), transportSecurity: .plaintext)
                } catch { throw .unavailable(detail: "\(error)") }
            }
            let transport = HTTP2ServerTransport.Posix(
                address: .unixDomainSocket(path: path), transportSecurity: .plaintext)
            try await withGRPCServer(transport: transport, services: [issuer]) { _ in
                _ = try await transport.listeningAddress
                try await body(upstream, issuer, clock)
            }
        }
    }
}
