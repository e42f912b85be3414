internal import X509

extension X509Bundle {
    /// Reads a bundle as the Workload API carries it.
    ///
    /// - Parameters:
    ///   - der: Zero or more DER certificates, end to end; none means that nothing of the domain is valid (A06).
    ///   - trustDomain: Whose authorities these are.
    /// - Throws: ``SPIFFEError`` with code `invalidBundle`.
    public init(der: some Collection<UInt8>, trustDomain: TrustDomain) throws(SPIFFEError) {
        do throws(SPIFFEError) {
            self.init(trustDomain: trustDomain, authorities: try DERConcatenation.certificates(in: der))
        } catch {
            throw SPIFFEError(.invalidBundle, error.message)
        }
    }

    /// Reads a bundle from PEM.
    ///
    /// - Parameters:
    ///   - pem: One or more CERTIFICATE blocks: a file without any is taken for a mistake.
    ///   - trustDomain: Whose authorities these are.
    /// - Throws: ``SPIFFEError`` with code `invalidBundle`.
    public init(pem: String, trustDomain: TrustDomain) throws(SPIFFEError) {
        self.init(
            trustDomain: trustDomain, authorities: try CertificatePEM.certificates(in: pem, code: .invalidBundle))
    }

    /// Writes the authorities as PEM.
    ///
    /// - Returns: One block each, each ending in a newline; empty for an empty bundle.
    /// - Throws: ``SPIFFEError`` with code `invalidBundle` when a certificate cannot be serialized.
    public func pemText() throws(SPIFFEError) -> String {
        try CertificatePEM.text(of: authorities, code: .invalidBundle)
    }

    /// Writes the authorities as the Workload API carries them.
    ///
    /// - Returns: DER certificates, end to end; empty for an empty bundle.
    /// - Throws: ``SPIFFEError`` with code `invalidBundle` when a certificate cannot be serialized.
    public func derBytes() throws(SPIFFEError) -> [UInt8] {
        do {
            return try DERConcatenation.bytes(of: authorities)
        } catch {
            throw SPIFFEError(.invalidBundle, "a certificate cannot be serialized")
        }
    }
}
