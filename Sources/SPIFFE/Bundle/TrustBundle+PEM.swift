extension TrustBundle {
    /// Reads X.509 authorities from PEM; such a bundle has no JWT authorities (FED-23).
    ///
    /// - Parameters:
    ///   - pem: One or more CERTIFICATE blocks.
    ///   - trustDomain: Whose bundle it is.
    /// - Throws: ``SPIFFEError`` with code `invalidBundle`.
    public init(pem: String, trustDomain: TrustDomain) throws(SPIFFEError) {
        let x509 = try X509Bundle(pem: pem, trustDomain: trustDomain)
        self.init(trustDomain: trustDomain, x509Authorities: x509.authorities, jwtAuthorities: [:])
    }

    /// Writes the X.509 authorities as PEM blocks, each ending in a newline.
    ///
    /// - Returns: The blocks, in the order of the authorities.
    /// - Throws: ``SPIFFEError`` with code `invalidBundle` when an authority cannot be serialized.
    public func pemText() throws(SPIFFEError) -> String { try x509.pemText() }
}
