public import SPIFFE

/// Which proven identities may go on.
///
/// Verification says who someone is; this says whether that is enough. There is no default: choosing ``any`` has to be
/// written down.
public struct PeerAuthorizer: Sendable, CustomStringConvertible {
    /// Whom it lets pass, for people.
    public let description: String

    private let allows: @Sendable (PeerIdentity) -> Bool

    private init(_ description: String, _ allows: @escaping @Sendable (PeerIdentity) -> Bool) {
        (self.description, self.allows) = (description, allows)
    }

    /// Whoever has a valid identity of any trust domain whose bundle is held.
    public static let any = PeerAuthorizer("any trusted identity") { _ in true }

    /// One identity alone.
    ///
    /// - Parameter id: The ID.
    /// - Returns: An authorizer for it.
    public static func id(_ id: SPIFFEID) -> PeerAuthorizer { PeerAuthorizer("\(id)") { $0.id == id } }

    /// Any of several identities.
    ///
    /// - Parameter ids: The IDs; none means nobody.
    /// - Returns: An authorizer for them.
    public static func anyOf(_ ids: some Sequence<SPIFFEID>) -> PeerAuthorizer {
        let ids = Set(ids)
        return PeerAuthorizer("one of \(ids.count) identities") { ids.contains($0.id) }
    }

    /// Every identity of one trust domain.
    ///
    /// - Parameter trustDomain: The trust domain.
    /// - Returns: An authorizer for its members.
    public static func memberOf(_ trustDomain: TrustDomain) -> PeerAuthorizer {
        PeerAuthorizer("members of \(trustDomain)") { $0.id.trustDomain == trustDomain }
    }

    /// Those a rule of the caller's own lets pass.
    ///
    /// - Parameters:
    ///   - description: Whom it lets pass, for logs.
    ///   - allows: The rule; the certificate or token has been verified before it is asked, the key of a
    ///     certificate is proven right after. Called on event loops, so it must not block.
    /// - Returns: An authorizer by that rule.
    public static func custom(
        _ description: String, _ allows: @escaping @Sendable (PeerIdentity) -> Bool
    ) -> PeerAuthorizer { PeerAuthorizer(description, allows) }

    /// Judges a proven identity.
    ///
    /// - Parameter peer: The identity.
    /// - Throws: ``PeerRefusal`` with code `notAuthorized`.
    public func authorize(_ peer: PeerIdentity) throws(PeerRefusal) {
        guard allows(peer) else {
            throw PeerRefusal(.notAuthorized, "\(peer.id) is not \(description)")
        }
    }
}
