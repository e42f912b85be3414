/// The bundles that a verifier holds: one for each trust domain it believes.
///
/// Iterates in the order of trust domain names.
public struct BundleSet: Hashable, Sendable, Sequence {
    private var bundles: [TrustDomain: TrustBundle] = [:]

    /// Creates a set that believes nobody.
    public init() {}

    /// Creates a set.
    ///
    /// - Parameter bundles: The bundles, in any order.
    /// - Throws: ``SPIFFEError`` with code `invalidBundle` when two are of one trust domain: neither may win by chance.
    public init(_ bundles: some Sequence<TrustBundle>) throws(SPIFFEError) {
        for bundle in bundles {
            guard insert(bundle) == nil else {
                throw SPIFFEError(.invalidBundle, "two bundles are of trust domain \(bundle.trustDomain)")
            }
        }
    }

    /// The bundle of a trust domain, or nil when that domain is not believed.
    public subscript(trustDomain: TrustDomain) -> TrustBundle? { bundles[trustDomain] }

    /// The trust domains believed, in order.
    public var trustDomains: [TrustDomain] { bundles.keys.sorted() }

    /// How many bundles are held.
    public var count: Int { bundles.count }

    /// Adds a bundle, in the place of the one that its trust domain had.
    ///
    /// - Parameter bundle: The newer bundle.
    /// - Returns: The bundle that was replaced, if there was one.
    @discardableResult
    public mutating func insert(_ bundle: TrustBundle) -> TrustBundle? {
        bundles.updateValue(bundle, forKey: bundle.trustDomain)
    }

    /// Removes a bundle: from now on, nothing of that trust domain is believed.
    ///
    /// - Parameter trustDomain: Whose bundle to remove.
    /// - Returns: The bundle that was removed, if there was one.
    @discardableResult
    public mutating func remove(_ trustDomain: TrustDomain) -> TrustBundle? {
        bundles.removeValue(forKey: trustDomain)
    }

    /// Finds the X.509 authorities of a trust domain, as ``X509SVIDVerification`` asks for them.
    ///
    /// - Parameter trustDomain: Whose authorities to find.
    /// - Returns: Its authorities, or nil when that domain is not believed.
    public func x509Bundle(for trustDomain: TrustDomain) -> X509Bundle? { bundles[trustDomain]?.x509 }

    /// Finds the JWT authorities of a trust domain, as ``JWTSVID`` asks for them.
    ///
    /// - Parameter trustDomain: Whose authorities to find.
    /// - Returns: Its authorities, or nil when that domain is not believed.
    public func jwtBundle(for trustDomain: TrustDomain) -> JWTBundle? { bundles[trustDomain]?.jwt }

    /// Goes through the bundles in the order of their trust domains.
    public func makeIterator() -> Array<TrustBundle>.Iterator {
        bundles.values.sorted { $0.trustDomain < $1.trustDomain }.makeIterator()
    }
}
