package import Foundation

/// What stands above this server: signs its X.509 authorities, and may publish its JWT keys to a wider trust domain.
///
/// Everything an adapter returns is judged by the caller; an adapter bounds what it reads and how long it waits.
package protocol UpstreamAuthority: Sendable {
    /// Has a CA certificate signed for a key of this server.
    ///
    /// - Parameters:
    ///   - request: A PKCS#10 request (DER), signed by the key, which asks for the trust domain's ID as its only URI SAN.
    ///   - lifetime: How long it should live; the upstream may say less.
    ///   - now: The time.
    /// - Returns: The certificate with whatever leads from it to the upstream's roots.
    /// - Throws: ``UpstreamError``; then this server goes on with the authority that it has.
    func mint(
        request: [UInt8], lifetime: Duration, now: Date
    ) async throws(UpstreamError) -> UpstreamIntermediate

    /// Publishes a JWT key of this server upstream.
    ///
    /// Asking again with the same key is fine.
    ///
    /// - Returns: Every JWT key that the upstream publishes now, this one among them.
    /// - Throws: ``UpstreamError``; `unsupported` when the upstream takes no JWT keys, which is no failure.
    func publish(_ key: UpstreamJWTKey) async throws(UpstreamError) -> [UpstreamJWTKey]

    /// What the upstream trusts: once as soon as it is known, and again whenever it changed.
    ///
    /// - Returns: A stream that goes on until its reader drops it; what was not read yet is replaced by what came later.
    func updates() -> AsyncStream<UpstreamTrust>
}

/// A CA certificate that an upstream signed.
package struct UpstreamIntermediate: Hashable, Sendable {
    /// DER; this server's certificate first, each signed by the next, the last by one of the roots; roots left out.
    package let chain: [[UInt8]]
    /// All roots that the upstream trusts, not only the one above this chain.
    package let roots: [UpstreamRoot]

    package init(chain: [[UInt8]], roots: [UpstreamRoot]) { (self.chain, self.roots) = (chain, roots) }
}

/// A root of the upstream.
package struct UpstreamRoot: Hashable, Sendable {
    /// DER.
    package let certificate: [UInt8]
    /// Whether everything under it is to be replaced.
    package let isTainted: Bool

    package init(certificate: [UInt8], isTainted: Bool = false) {
        (self.certificate, self.isTainted) = (certificate, isTainted)
    }
}

/// A JWT key that an upstream publishes.
package struct UpstreamJWTKey: Hashable, Sendable {
    package let keyID: String
    /// SubjectPublicKeyInfo, DER.
    package let publicDER: [UInt8]
    /// Nil when the upstream does not say.
    package let notAfter: Date?
    package let isTainted: Bool

    package init(keyID: String, publicDER: [UInt8], notAfter: Date?, isTainted: Bool = false) {
        self.keyID = keyID
        self.publicDER = publicDER
        self.notAfter = notAfter
        self.isTainted = isTainted
    }
}

/// Everything that an upstream trusts at one moment.
package struct UpstreamTrust: Hashable, Sendable {
    package let roots: [UpstreamRoot]
    /// Nil when the upstream publishes no JWT keys.
    package let jwtKeys: [UpstreamJWTKey]?

    package init(roots: [UpstreamRoot], jwtKeys: [UpstreamJWTKey]? = nil) {
        (self.roots, self.jwtKeys) = (roots, jwtKeys)
    }
}

/// Why an upstream did not do what it was asked.
package enum UpstreamError: Error, Hashable {
    /// It cannot be reached or read now; asking later may help.
    case unavailable(detail: String)
    /// It says no, and will again.
    case refused(detail: String)
    /// It does not do this at all.
    case unsupported
    /// It answered what it should not.
    case badAnswer(detail: String)
}

extension UpstreamError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .unavailable(let detail): "upstream authority is unavailable: \(detail)"
        case .refused(let detail): "upstream authority refuses: \(detail)"
        case .unsupported: "upstream authority does not offer this"
        case .badAnswer(let detail): "upstream authority answered badly: \(detail)"
        }
    }
}
