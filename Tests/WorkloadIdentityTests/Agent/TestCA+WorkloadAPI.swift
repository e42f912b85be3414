import Crypto
import Foundation
import SPIFFE
import SwiftASN1
import SwiftProtobuf
import TestSupport
import WorkloadAPIProtos
import WorkloadIdentity
import X509

extension TestCA {
    /// An authority of these hours: a source that was started reads the machine's clock and no other.
    static func current(_ trustDomain: String = "example.org", commonName: String = "root") throws -> TestCA {
        try TestCA(trustDomain, commonName: commonName) { $0.validity = Date() - 86_400..<Date() + 86_400 }
    }

    /// Its bundle as the Workload API carries it.
    var der: Data { get throws { Data(try certificate.derBytes()) } }

    /// A leaf good for an hour from now, or for what is left of it.
    func currentLeaf(_ path: String = "/w", until end: Date = Date() + 3600) throws -> Leaf {
        try leaf("spiffe://\(trustDomain)\(path)") { $0.validity = Date() - 7200..<end }
    }

    /// An identity as a message carries it.
    func wire(_ path: String = "/w", hint: String = "", until end: Date = Date() + 3600) throws -> WorkloadX509SVID {
        let leaf = try currentLeaf(path, until: end)
        return try .with {
            $0.spiffeID = "spiffe://\(trustDomain)\(path)"
            $0.x509Svid = Data(try leaf.certificate.derBytes())
            $0.x509SvidKey = leaf.pkcs8
            $0.bundle = try der
            $0.hint = hint
        }
    }

    /// A revocation list with the serial numbers of some certificates on it.
    func revocationList(_ revoked: [Certificate]) throws -> Data {
        let algorithm: ASN1ObjectIdentifier = [1, 2, 840, 10045, 4, 3, 2]
        func time(_ text: String, _ serializer: inout DER.Serializer) {
            serializer.appendPrimitiveNode(identifier: .utcTime) { $0.append(contentsOf: Array(text.utf8)) }
        }
        var body = DER.Serializer()
        try body.appendConstructedNode(identifier: .sequence) { body in
            try body.serialize(1)
            try body.appendConstructedNode(identifier: .sequence) { try $0.serialize(algorithm) }
            try body.serialize(certificate.subject)
            time("200101000000Z", &body)
            if !revoked.isEmpty {
                try body.appendConstructedNode(identifier: .sequence) { list in
                    for certificate in revoked {
                        try list.appendConstructedNode(identifier: .sequence) { entry in
                            try entry.serialize(certificate.serialNumber.bytes)
                            time("200101000000Z", &entry)
                        }
                    }
                }
            }
        }
        let signature = try key.signature(for: body.serializedBytes).derRepresentation
        var list = DER.Serializer()
        try list.appendConstructedNode(identifier: .sequence) { list in
            list.serializeRawBytes(body.serializedBytes)
            try list.appendConstructedNode(identifier: .sequence) { try $0.serialize(algorithm) }
            try list.serialize(ASN1BitString(bytes: Array(signature)[...]))
        }
        return Data(list.serializedBytes)
    }
}

extension WorkloadX509SVIDResponse {
    /// A message of these identities.
    init(_ svids: WorkloadX509SVID..., federated: [String: Data] = [:], crl: [Data] = []) {
        self = .with {
            $0.svids = svids
            $0.federatedBundles = federated
            $0.crl = crl
        }
    }
}

extension SwiftProtobuf.Message {
    /// The message as it goes over the wire.
    var bytes: [UInt8] { get throws { try serializedBytes() } }
}

extension SPIFFEID {
    /// `spiffe://example.org` and a path.
    static func example(_ path: String) throws -> SPIFFEID { try SPIFFEID("spiffe://example.org\(path)") }
}

extension TrustDomain {
    static var example: TrustDomain { get throws { try TrustDomain("example.org") } }
    static var other: TrustDomain { get throws { try TrustDomain("other.example") } }
}
