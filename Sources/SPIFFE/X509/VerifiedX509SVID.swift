public import X509

/// An X.509-SVID whose chain leads to an authority of its own trust domain.
///
/// Only verification makes one.
public struct VerifiedX509SVID: Hashable, Sendable {
    /// Who the peer is.
    public let id: SPIFFEID

    /// Leaf first, authority last.
    public let chain: [Certificate]

    /// The leaf.
    public var leaf: Certificate { chain[0] }

    /// Wraps a verified path, which has a leaf at least.
    init(id: SPIFFEID, path: [PathCertificate]) {
        precondition(!path.isEmpty, "a verified path starts with its leaf")
        self.id = id
        chain = path.map(\.certificate)
    }
}
