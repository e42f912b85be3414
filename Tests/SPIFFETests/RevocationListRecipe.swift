import Crypto
import SwiftASN1
import TestSupport
import X509

/// Everything a certificate revocation list says, for tests to spoil one thing at a time.
struct RevocationListRecipe {
    struct Entry {
        var serialNumber: Certificate.SerialNumber
        var extensions: [Certificate.Extension] = []
    }

    /// The number as DER has it: one less than in speech.
    var version: Int? = 1
    var issuer: DistinguishedName
    var thisUpdate = RevocationListRecipe.utcTime("270101000000Z")
    var nextUpdate: [UInt8]? = RevocationListRecipe.utcTime("270201000000Z")
    var entries: [Entry] = []
    var extensions: [Certificate.Extension] = [
        .init(oid: [2, 5, 29, 20], critical: false, value: [0x02, 0x01, 0x07])
    ]
    var innerAlgorithm: [UInt8]
    var outerAlgorithm: [UInt8]

    /// A sound list that revokes these.
    init(of authority: TestCA, revoking certificates: [Certificate]) throws {
        issuer = authority.certificate.subject
        entries = certificates.map { Entry(serialNumber: $0.serialNumber) }
        innerAlgorithm = try CertificateForge.algorithm([1, 2, 840, 10045, 4, 3, 2])
        outerAlgorithm = innerAlgorithm
    }

    /// The list as DER, signed by ECDSA with SHA-256 whatever it says.
    func der(signedBy key: P256.Signing.PrivateKey) throws -> [UInt8] {
        let body = try CertificateForge.sequence { body in
            if let version { try body.serialize(version) }
            body.serializeRawBytes(innerAlgorithm)
            try body.serialize(issuer)
            body.serializeRawBytes(thisUpdate)
            if let nextUpdate { body.serializeRawBytes(nextUpdate) }
            if !entries.isEmpty {
                try body.appendConstructedNode(identifier: .sequence) { list in
                    for entry in entries { try Self.write(entry, to: &list) }
                }
            }
            if !extensions.isEmpty {
                try body.serialize(explicitlyTaggedWithTagNumber: 0, tagClass: .contextSpecific) {
                    try $0.serializeSequenceOf(extensions)
                }
            }
        }
        let signature = try key.signature(for: body).derRepresentation
        return try CertificateForge.sequence { whole in
            whole.serializeRawBytes(body)
            whole.serializeRawBytes(outerAlgorithm)
            try whole.serialize(ASN1BitString(bytes: Array(signature)[...]))
        }
    }

    private static func write(_ entry: Entry, to list: inout DER.Serializer) throws {
        try list.appendConstructedNode(identifier: .sequence) { node in
            try node.serialize(entry.serialNumber.bytes)
            node.serializeRawBytes(utcTime("270101000000Z"))
            if !entry.extensions.isEmpty { try node.serializeSequenceOf(entry.extensions) }
        }
    }

    static func utcTime(_ text: String) -> [UInt8] { [0x17, UInt8(text.utf8.count)] + text.utf8 }

    static func generalizedTime(_ text: String) -> [UInt8] { [0x18, UInt8(text.utf8.count)] + text.utf8 }
}
