import Crypto
import SwiftASN1
import X509

/// Takes a sound certificate apart and signs it anew with anything in it, also what the X.509 library would not write.
struct CertificateForge {
    /// The ends of a validity, as they lie in the DER.
    struct Validity {
        var notBefore: [UInt8]
        var notAfter: [UInt8]
    }

    var version: [UInt8]
    var innerAlgorithm: [UInt8]
    var outerAlgorithm: [UInt8]
    var validity: Validity
    var publicKeyInfo: [UInt8]
    var extensions: [Certificate.Extension]
    private let serialNumber: [UInt8]
    private let issuer: [UInt8]
    private let subject: [UInt8]

    init(_ sound: Certificate) throws {
        var parts: [ASN1Node] = []
        _ = try DER.sequence(DER.parse(sound.tbsCertificateBytes), identifier: .sequence) { nodes in
            while let node = nodes.next() { parts.append(node) }
        }
        let bytes = parts.map { Array($0.encodedBytes) }
        (version, serialNumber, innerAlgorithm, issuer) = (bytes[0], bytes[1], bytes[2], bytes[3])
        (subject, publicKeyInfo) = (bytes[5], bytes[6])
        outerAlgorithm = innerAlgorithm
        validity = try DER.sequence(parts[4], identifier: .sequence) { nodes in
            let (first, second) = (nodes.next()?.encodedBytes ?? [], nodes.next()?.encodedBytes ?? [])
            return Validity(notBefore: Array(first), notAfter: Array(second))
        }
        extensions = Array(sound.extensions)
    }

    /// The certificate as DER, signed by ECDSA with SHA-256 whatever it says.
    func der(signedBy key: P256.Signing.PrivateKey) throws -> [UInt8] {
        let body = try Self.sequence { body in
            for bytes in [version, serialNumber, innerAlgorithm, issuer] { body.serializeRawBytes(bytes) }
            body.appendConstructedNode(identifier: .sequence) {
                $0.serializeRawBytes(validity.notBefore)
                $0.serializeRawBytes(validity.notAfter)
            }
            for bytes in [subject, publicKeyInfo] { body.serializeRawBytes(bytes) }
            try body.serialize(explicitlyTaggedWithTagNumber: 3, tagClass: .contextSpecific) {
                try $0.serializeSequenceOf(extensions)
            }
        }
        let signature = try key.signature(for: body).derRepresentation
        return try Self.sequence { whole in
            whole.serializeRawBytes(body)
            whole.serializeRawBytes(outerAlgorithm)
            try whole.serialize(ASN1BitString(bytes: Array(signature)[...]))
        }
    }

    /// A SEQUENCE with anything in it.
    static func sequence(_ content: (inout DER.Serializer) throws -> Void) throws -> [UInt8] {
        var serializer = DER.Serializer()
        try serializer.appendConstructedNode(identifier: .sequence, content)
        return serializer.serializedBytes
    }

    /// An AlgorithmIdentifier without parameters.
    static func algorithm(_ oid: ASN1ObjectIdentifier) throws -> [UInt8] {
        try sequence { try $0.serialize(oid) }
    }
}
