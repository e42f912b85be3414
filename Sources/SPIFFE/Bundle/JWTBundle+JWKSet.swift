extension JWTBundle {
    /// Reads a JWK Set of JWT authorities, as the Workload API hands it out (WLAPI-24, C-11).
    ///
    /// Keys with `use` other than `jwt-svid`, without a key ID, or of a kind that no permitted algorithm uses are
    /// skipped (B03..B05, B13); a key without `use` is taken, for that is how issuers commonly send them. When one key
    /// ID stands for two different keys, neither is taken.
    ///
    /// - Parameters:
    ///   - jwkSet: The document, UTF-8.
    ///   - trustDomain: Whose authorities they are; the document never says.
    /// - Throws: ``SPIFFEError`` with code `invalidJSON` or `invalidBundle`.
    public init(jwkSet: some Collection<UInt8>, trustDomain: TrustDomain) throws(SPIFFEError) {
        let document = try JSONValue(parsing: jwkSet, limit: TrustBundle.maximumDocumentLength)
        guard let keys = document.object?["keys"]?.array else {
            throw SPIFFEError(.invalidBundle, "JWK Set has no list of keys")
        }
        let jwks = keys.compactMap(\.object).filter { $0["use"] == nil || $0["use"]?.string == "jwt-svid" }
        self.init(trustDomain: trustDomain, authorities: Self.authorities(in: jwks))
    }

    /// The authorities as a JWK Set, each with its key ID and without a use; `[]` when there are none.
    ///
    /// - Returns: The document.
    public func jwkSetJSON() -> String { jwkSet.compactText }

    /// What ``jwkSetJSON()`` writes.
    package var jwkSet: JSONValue { .members(["keys": .array(jwks(withUse: false))]) }

    /// The authorities as JWKs, in the order of their key IDs.
    func jwks(withUse: Bool) -> [JSONValue] {
        authorities.sorted { $0.key < $1.key }.map { keyID, key in
            let identity: [(String, JSONValue)] =
                withUse
                ? [("use", .string("jwt-svid")), ("kid", .string(keyID))] : [("kid", .string(keyID))]
            return .object(JSONObject(key.jwkMembers + identity))
        }
    }

    /// Picks the usable keys among JWKs that are meant for JWT-SVIDs.
    static func authorities(in jwks: [JSONObject]) -> [String: JWTVerificationKey] {
        var authorities: [String: JWTVerificationKey] = [:]
        var ambiguous: Set<String> = []
        for jwk in jwks {
            guard let keyID = jwk["kid"]?.string, !keyID.isEmpty, let key = try? JWTVerificationKey(jwk: jwk) else {
                continue
            }
            if let known = authorities.updateValue(key, forKey: keyID), known != key { ambiguous.insert(keyID) }
        }
        return authorities.filter { !ambiguous.contains($0.key) }
    }
}
