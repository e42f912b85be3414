internal import Foundation
internal import SwiftASN1
internal import X509

extension TrustBundle {
    /// Reads X.509 authorities from PEM; such a bundle has no JWT authorities (FED-23).
    ///
    /// - Parameters:
    ///   - pem: One or more CERTIFICATE blocks.
    ///   - trustDomain: Whose bundle it is.
    /// - Throws: ``SPIFFEError`` with code `invalidBundle`.
    public init(pem: String, trustDomain: TrustDomain) throws(SPIFFEError) {
        do {
            let certificates = try PEMDocument.parseMultiple(pemString: pem).map { try Certificate(pemDocument: $0) }
            guard !certificates.isEmpty else { throw SPIFFEError(.invalidBundle, "bundle holds no certificate") }
            self.init(trustDomain: trustDomain, x509Authorities: certificates, jwtAuthorities: [:])
        } catch let error as SPIFFEError {
            throw error
        } catch {
            throw SPIFFEError(.invalidBundle, "bundle is not PEM with certificates")
        }
    }

    /// Writes the X.509 authorities as PEM blocks, each ending in a newline.
    ///
    /// - Returns: The blocks, in the order of the authorities.
    /// - Throws: ``SPIFFEError`` with code `invalidBundle` when an authority cannot be serialized.
    public func pemText() throws(SPIFFEError) -> String {
        do {
            return try x509.authorities.map { try $0.serializeAsPEM().pemString + "\n" }.joined()
        } catch {
            throw SPIFFEError(.invalidBundle, "an X.509 authority cannot be written as PEM")
        }
    }
}
