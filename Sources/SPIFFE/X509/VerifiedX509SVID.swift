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
    public let leaf: Certificate

    init(id: SPIFFEID, chain: [Certificate], leaf: Certificate) {
        self.id = id
        self.chain = chain
        self.leaf = leaf
    }
}
