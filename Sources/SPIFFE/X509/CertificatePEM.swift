internal import SwiftASN1
package import X509

/// Certificates as PEM text, bounded like those in DER.
package enum CertificatePEM {
    /// The longest text read, in bytes.
    static let maximumLength = 4 << 20

    /// Parses CERTIFICATE blocks.
    ///
    /// - Parameters:
    ///   - text: One block or more; blocks of other kinds are refused.
    ///   - code: What a refusal is about.
    /// - Returns: The certificates, in order.
    /// - Throws: ``SPIFFEError`` with the code given.
    package static func certificates(
        in text: String, code: SPIFFEError.Code
    ) throws(SPIFFEError) -> [Certificate] {
        guard text.utf8.count <= maximumLength else {
            throw SPIFFEError(code, "PEM text is longer than \(maximumLength) bytes")
        }
        guard let documents = try? PEMDocument.parseMultiple(pemString: text), !documents.isEmpty else {
            throw SPIFFEError(code, "text is not PEM with certificates")
        }
        // The parser passes over a block whose first line runs on, and a bundle would silently lack an authority.
        guard
            text.utf8.split(separator: "-----BEGIN ".utf8, omittingEmptySubsequences: false).count == documents.count
                + 1
        else { throw SPIFFEError(code, "text holds a PEM block that cannot be parsed") }
        guard documents.count <= DERConcatenation.maximumCount else {
            throw SPIFFEError(code, "more than \(DERConcatenation.maximumCount) certificates in one text")
        }
        var certificates: [Certificate] = []
        for document in documents {
            guard document.discriminator == Certificate.defaultPEMDiscriminator else {
                throw SPIFFEError(code, "text holds something other than certificates")
            }
            do throws(SPIFFEError) {
                certificates.append(try DERConcatenation.certificate(in: document.derBytes[...]))
            } catch {
                throw SPIFFEError(code, error.message)
            }
        }
        return certificates
    }

    /// Writes certificates.
    ///
    /// - Parameters:
    ///   - certificates: The certificates, the leaf first where there is one.
    ///   - code: What a refusal is about.
    /// - Returns: One PEM block each, each ending in a newline.
    /// - Throws: ``SPIFFEError`` with the code given, when one cannot be serialized.
    static func text(of certificates: [Certificate], code: SPIFFEError.Code) throws(SPIFFEError) -> String {
        do {
            return try certificates.map { try $0.pemText() }.joined()
        } catch {
            throw SPIFFEError(code, "a certificate cannot be serialized")
        }
    }
}
