package import X509
internal import SwiftASN1

/// Certificates as the Workload API carries them: DER after DER, with no separator.
package enum DERConcatenation {
    /// The most certificates read from one field.
    package static let maximumCount = 256

    /// Splits and parses concatenated DER certificates.
    ///
    /// - Parameter bytes: Zero or more whole certificates.
    /// - Returns: The certificates in order; at most ``maximumCount``.
    /// - Throws: ``SPIFFEError`` with code `invalidX509SVID` on anything else.
    package static func certificates(in bytes: some Collection<UInt8>) throws(SPIFFEError) -> [Certificate] {
        var rest = Array(bytes)[...]
        var certificates: [Certificate] = []
        while !rest.isEmpty {
            guard certificates.count < maximumCount else {
                throw SPIFFEError(.invalidX509SVID, "more than \(maximumCount) certificates in one field")
            }
            guard let length = elementLength(of: rest), length <= rest.count else {
                throw SPIFFEError(.invalidX509SVID, "certificates are not whole DER sequences")
            }
            certificates.append(try certificate(in: rest.prefix(length)))
            rest = rest.dropFirst(length)
        }
        return certificates
    }

    /// Parses exactly one DER certificate.
    ///
    /// - Parameter bytes: One whole certificate.
    /// - Returns: The certificate, parsed; nothing about it has been checked.
    /// - Throws: ``SPIFFEError`` with code `invalidX509SVID` on anything else.
    package static func certificate(in bytes: ArraySlice<UInt8>) throws(SPIFFEError) -> Certificate {
        do {
            return try Certificate(derEncoded: Array(bytes))
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

    /// The length of the SEQUENCE at the start, header included (X.690 §8.1.3).
    private static func elementLength(of bytes: ArraySlice<UInt8>) -> Int? {
        let start = bytes.startIndex
        guard bytes.count >= 2, bytes[start] == 0x30 else { return nil }
        let first = bytes[start + 1]
        guard first >= 0x80 else { return 2 + Int(first) }
        let octets = Int(first & 0x7F)
        guard (1...3).contains(octets), bytes.count >= 2 + octets else { return nil }
        let length = bytes[(start + 2)..<(start + 2 + octets)].reduce(0) { $0 << 8 | Int($1) }
        return 2 + octets + length
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
