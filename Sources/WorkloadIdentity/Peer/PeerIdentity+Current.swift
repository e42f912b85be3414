extension PeerIdentity {
    /// Who makes the request being handled; nil outside of one.
    ///
    /// Set by the middleware of each stack.
    @TaskLocal public static var current: PeerIdentity?

    /// Who makes the request being handled, for code that must have an answer.
    ///
    /// - Returns: The identity.
    /// - Throws: ``PeerRefusal`` with code `noIdentity` outside of a request, or when no middleware found an identity.
    public static func required() throws(PeerRefusal) -> PeerIdentity {
        guard let current else { throw PeerRefusal(.noIdentity, "no caller is known here") }
        return current
    }
}
