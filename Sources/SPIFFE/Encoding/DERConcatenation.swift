package import X509
internal import SwiftASN1

/// Certificates as the Workload API carries them: DER after DER, with no separator.
package enum DERConcatenation {
    /// The most certificates read from one field.
    package static let maximumCount = 256

    /// The longest certificate read, in bytes; one with RSA keys of 8192 bits takes four thousand.
    package static let maximumLength = 1 << 16

    /// Splits and parses concatenated DER certificates.
    ///
    /// - Parameter bytes: Zero or more whole certificates.
    /// - Returns: The certificates in order; at most ``maximumCount``.
    /// - Throws: ``SPIFFEError`` with code `invalidX509SVID` on anything else.
    package static func certificates(in bytes: some Collection<UInt8>) throws(SPIFFEError) -> [Certificate] {
        let bytes = Array(bytes)
        var cursor = DERCursor(bytes[...])
        var certificates: [Certificate] = []
        while !cursor.isAtEnd {
            guard certificates.count < maximumCount else {
                throw SPIFFEError(.invalidX509SVID, "more than \(maximumCount) certificates in one field")
            }
            guard let element = cursor.next(), element.tag == 0x30 else {
                throw SPIFFEError(.invalidX509SVID, "certificates are not whole DER sequences")
            }
            certificates.append(try certificate(in: bytes[element.whole]))
        }
        return certificates
    }

    /// Parses exactly one DER certificate.
    ///
    /// - Parameter bytes: One whole certificate.
    /// - Returns: The certificate, parsed; nothing about it has been checked.
    /// - Throws: ``SPIFFEError`` with code `invalidX509SVID` on anything else.
    package static func certificate(in bytes: ArraySlice<UInt8>) throws(SPIFFEError) -> Certificate {
        guard bytes.count <= maximumLength else {
            throw SPIFFEError(.invalidX509SVID, "a certificate is longer than \(maximumLength) bytes")
        }
        do {
            return try Certificate(derEncoded: bytes)
        } catch {
            throw SPIFFEError(.invalidX509SVID, "a certificate cannot be parsed")
        }
    }

    /// Joins certificates, first to last.
    ///
    /// - Parameter certificates: The certificates, the leaf first where there is one.
    /// - Returns: Their DER, end to end.
    /// - Throws: `ASN1Error` when one cannot be serialized.
    package static func bytes(of certificates: [Certificate]) throws -> [UInt8] {
        try certificates.flatMap { try $0.derBytes() }
    }
}

extension Certificate {
    /// The certificate as DER.
    package func derBytes() throws -> [UInt8] {
        var serializer = DER.Serializer()
        try serializer.serialize(self)
        return serializer.serializedBytes
    }
}
