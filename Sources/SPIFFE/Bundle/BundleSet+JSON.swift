extension BundleSet {
    /// The longest bundle map read, in bytes.
    public static let maximumMapLength = 16 << 20

    /// Reads a SPIFFE bundle map, whole or not at all (BUNDLE-21..26).
    ///
    /// A trust domain named twice is refused, and so is the whole map when one of its bundles is malformed. Refresh hints
    /// of single bundles are kept with them; the documents define none for a map, so how often to look again is up to
    /// the reader (C-08).
    ///
    /// - Parameter json: The document, UTF-8.
    /// - Throws: ``SPIFFEError`` with code `invalidJSON`, `invalidBundle` or `invalidTrustDomain`.
    public init(bundleMapJSON json: some Collection<UInt8>) throws(SPIFFEError) {
        guard let document = try JSONValue(parsing: json, limit: Self.maximumMapLength).object else {
            throw SPIFFEError(.invalidBundle, "bundle map is not a JSON object")
        }
        guard let domains = document["trust_domains"]?.object else {
            throw SPIFFEError(.invalidBundle, "bundle map has no trust_domains")
        }
        var bundles: [TrustBundle] = []
        for (name, value) in domains {
            bundles.append(try TrustBundle(document: value, trustDomain: TrustDomain(name)))
        }
        try self.init(bundles)
    }

    /// Writes a SPIFFE bundle map, without the refresh hints of single bundles (BUNDLE-24).
    ///
    /// - Returns: The document.
    /// - Throws: ``SPIFFEError`` with code `invalidBundle` when an authority's key cannot be written as a JWK.
    public func bundleMapJSON() throws(SPIFFEError) -> String {
        var domains = JSONObject()
        for bundle in self { domains[bundle.trustDomain.name] = try bundle.spiffeDocument(withRefreshHint: false) }
        return JSONValue.members(["trust_domains": .object(domains)]).compactText
    }
}
