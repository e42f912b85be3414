internal import Foundation
internal import GRPCCore
internal import IssuerAPIProtos
internal import IssuerDomain
internal import Platform
internal import SPIFFE

/// The messages of an issuer above, bounded, in the words of the port.
enum UpstreamWire {
    static let maximumChain = 16
    static let maximumRoots = 1000
    static let maximumKeys = 1000

    /// Reads a bundle.
    ///
    /// - Throws: `badAnswer` when it is another trust domain's, or larger than any.
    static func trust(
        _ bundle: Spire_Api_Types_Bundle, of trustDomain: TrustDomain
    ) throws(UpstreamError) -> UpstreamTrust {
        guard (try? TrustDomain(bundle.trustDomain)) == trustDomain else {
            throw .badAnswer(detail: "a bundle of another trust domain")
        }
        guard !bundle.x509Authorities.isEmpty else { throw .badAnswer(detail: "a bundle without roots") }
        guard bundle.x509Authorities.count <= maximumRoots else { throw .badAnswer(detail: "too many roots") }
        return UpstreamTrust(
            roots: bundle.x509Authorities.map {
                UpstreamRoot(certificate: Array($0.asn1), isTainted: $0.tainted)
            }, jwtKeys: try keys(bundle.jwtAuthorities))
    }

    static func keys(_ keys: [Spire_Api_Types_JWTKey]) throws(UpstreamError) -> [UpstreamJWTKey] {
        guard keys.count <= maximumKeys else { throw .badAnswer(detail: "too many JWT keys") }
        return keys.map { UpstreamJWTKey($0) }
    }

    /// What an upstream's status means for whoever asked.
    static func error(_ error: RPCError) -> UpstreamError {
        let detail = "\(error.code): \(error.message.prefix(512))"
        return switch error.code {
        case .unimplemented: .unsupported
        case .permissionDenied, .unauthenticated, .invalidArgument, .failedPrecondition, .notFound, .alreadyExists,
            .outOfRange:
            .refused(detail: detail)
        default: .unavailable(detail: detail)
        }
    }
}

extension UpstreamJWTKey {
    init(_ wire: Spire_Api_Types_JWTKey) {
        self.init(
            keyID: wire.keyID, publicDER: Array(wire.publicKey),
            notAfter: wire.expiresAt == 0 ? nil : Date(timeIntervalSince1970: TimeInterval(wire.expiresAt)),
            isTainted: wire.tainted)
    }
}

extension Spire_Api_Types_JWTKey {
    init(_ key: UpstreamJWTKey) {
        self.init()
        keyID = key.keyID
        publicKey = Data(key.publicDER)
        expiresAt = key.notAfter.map { $0.unixSeconds } ?? 0
        tainted = key.isTainted
    }
}
