internal import Crypto
internal import Foundation
internal import Platform
internal import SPIFFE
internal import SwiftASN1
internal import X509

/// A device that proved that its TPM holds the key of its certificate.
struct TPMDevice {
    /// From the DevID certificate to an authority.
    let path: [Certificate]
    let endorsementCertificate: Certificate

    /// `tpm_devid/` and the SHA-1 of the DevID certificate.
    ///
    /// SHA-1 is what the field calls these agents by. What a node is does not rest on it: two certificates with one
    /// fingerprint would both have to come from an authority that is trusted.
    var agentPath: String {
        get throws(NodeAttestationError) { "\(TPMDevIDAttestor.type)/\(try Self.fingerprint(of: path[0]))" }
    }

    /// The selectors in SPIRE's spellings, and two of our own that do not rest on SHA-1.
    var selectors: [Selector] {
        get throws(NodeAttestationError) {
            var values: [String] = []
            if let name = Self.commonName(in: path[0].subject) { values.append("subject:cn:\(name)") }
            if let name = Self.commonName(in: path[0].issuer) { values.append("issuer:cn:\(name)") }
            for authority in path.dropFirst() {
                values.append("ca:fingerprint:\(try Self.fingerprint(of: authority))")
                values.append("ca:sha256:\(Hex.encode(SHA256.hash(data: try Self.bytes(of: authority))))")
            }
            values.append("ek:sha256:\(Hex.encode(SHA256.hash(data: try Self.bytes(of: endorsementCertificate))))")
            // A name that no selector can hold says nothing here.
            return values.compactMap { try? Selector(kind: TPMDevIDAttestor.type, value: $0) }
        }
    }

    private static func fingerprint(of certificate: Certificate) throws(NodeAttestationError) -> String {
        Hex.encode(Insecure.SHA1.hash(data: try bytes(of: certificate)))
    }

    private static func bytes(of certificate: Certificate) throws(NodeAttestationError) -> [UInt8] {
        do { return try certificate.derBytes() } catch { throw .malformed("a certificate cannot be written out again") }
    }

    /// The one common name; with several, none can be relied on.
    private static func commonName(in name: DistinguishedName) -> String? {
        let names = name.flatMap { Array($0) }.filter { $0.type == .RDNAttributeType.commonName }
        guard names.count == 1, let only = names.first else { return nil }
        return String(describing: only.value)
    }
}
