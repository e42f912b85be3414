package import Foundation

/// What is known of an authority apart from its private key.
package struct AuthorityRecord: Hashable, Sendable, Identifiable {
    package enum Kind: String, Sendable, CaseIterable {
        case x509
        case jwt
    }

    /// Where an authority comes from, and so who may change what about it.
    package enum Origin: Hashable, Sendable {
        /// A server of this trust domain signs with a key of its own; no ID for records from before servers had one.
        case server(ServerID?, keyName: String)
        /// What stands above this server trusts it.
        case upstream
        /// A server below this one signs with it.
        case downstream
        /// An admin added it.
        case appended
    }

    /// For X.509 of a server the subject key identifier in hex, otherwise `sha256:` and the certificate's digest; for JWT
    /// the key ID.
    package let id: String
    package let kind: Kind
    package private(set) var state: State
    package private(set) var origin: Origin
    package let notBefore: Date
    /// When it ends; of a chain, the earliest end.
    ///
    /// `distantFuture` for a JWT key of which nobody says when.
    package let notAfter: Date
    /// For X.509 the certificate, for JWT the SubjectPublicKeyInfo; DER.
    package let publicDER: [UInt8]
    /// For X.509 under an upstream, what leads from the certificate to the upstream's root, without both; DER.
    package let chain: [[UInt8]]
    /// The subject key identifier of the upstream's root, in hex; nil for what vouches for itself.
    package let upstreamKeyID: String?
    /// The SPIFFE ID of the server below that published it; nil for all others.
    package let publisher: String?

    package init(
        id: String, kind: Kind, state: State, origin: Origin, notBefore: Date, notAfter: Date, publicDER: [UInt8],
        chain: [[UInt8]] = [], upstreamKeyID: String? = nil, publisher: String? = nil
    ) {
        self.id = id
        self.kind = kind
        self.state = state
        self.origin = origin
        self.notBefore = notBefore
        self.notAfter = notAfter
        self.publicDER = publicDER
        self.chain = chain
        self.upstreamKeyID = upstreamKeyID
        self.publisher = publisher
    }

    /// The name of its private key in the key store of its server; nil when the key is elsewhere.
    package var keyName: String? {
        if case .server(_, let keyName) = origin { keyName } else { nil }
    }

    /// Whether a server signs with it, or did.
    package func isOwned(by server: ServerID) -> Bool {
        if case .server(server, _) = origin { true } else { false }
    }

    /// Whether somebody other than a server here or its upstream brought it in.
    package var isAddition: Bool { origin == .downstream || origin == .appended }

    /// Whether it stands in the bundle: what an upstream signed does not, its root does.
    package var isPublished: Bool { state != .revoked && upstreamKeyID == nil }

    /// Whether the state is one that authorities of this origin can have.
    package var isSound: Bool {
        switch (origin, state) {
        case (.server, .published): false
        case (.server, _), (_, .published), (_, .tainted), (_, .revoked): true
        case (_, .prepared), (_, .active), (_, .retired): false
        }
    }

    /// Takes a step of its life.
    ///
    /// - Throws: ``AuthorityRefusal`` when the step does not follow from where it stands; then it stays there.
    package mutating func take(_ step: Step) throws(AuthorityRefusal) {
        guard let next = state.after(step) else { throw .outOfOrder(id: id, state: state, step: step) }
        state = next
    }

    /// Says whose a record is that was written before servers had IDs.
    mutating func claim(for server: ServerID) {
        if case .server(nil, let keyName) = origin { origin = .server(server, keyName: keyName) }
    }
}
