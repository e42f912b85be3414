internal import Foundation
internal import SwiftASN1
internal import X509

/// What every leaf under one authority has in common, written once.
package struct LeafPattern: Sendable {
    /// `AlgorithmIdentifier` of the authority's signatures.
    let algorithm: [UInt8]
    let signatureAlgorithm: Certificate.SignatureAlgorithm
    /// The authority's subject.
    let issuer: [UInt8]
    /// The `AuthorityKeyIdentifier` extension.
    private let authorityKeyIdentifier: [UInt8]

    /// What comes before the key identifiers: no CA, digital signatures only, TLS at either end.
    ///
    /// P-256 needs no more than signatures; the other usages are for RSA key transport (X509-08).
    private static let usages: [UInt8] = {
        var writer = DERWriter(capacity: 64)
        // 2.5.29.19 basicConstraints, critical, empty.
        writer.append([0x30, 0x0C, 0x06, 0x03, 0x55, 0x1D, 0x13, 0x01, 0x01, 0xFF, 0x04, 0x02, 0x30, 0x00])
        // 2.5.29.15 keyUsage, critical, digitalSignature.
        writer.append([0x30, 0x0E, 0x06, 0x03, 0x55, 0x1D, 0x0F, 0x01, 0x01, 0xFF, 0x04, 0x04, 0x03, 0x02, 0x07, 0x80])
        // 2.5.29.37 extKeyUsage: serverAuth, clientAuth.
        writer.append([
            0x30, 0x1D, 0x06, 0x03, 0x55, 0x1D, 0x25, 0x04, 0x16, 0x30, 0x14, 0x06, 0x08, 0x2B, 0x06, 0x01, 0x05, 0x05,
            0x07, 0x03, 0x01, 0x06, 0x08, 0x2B, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x02,
        ])
        return writer.bytes
    }()

    /// `AlgorithmIdentifier` of ECDSA with SHA-256 (RFC 5758 §3.2).
    static let ecdsaWithSHA256: [UInt8] = [0x30, 0x0A, 0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x04, 0x03, 0x02]

    private static let organization: [UInt8] = [0x55, 0x04, 0x0A]
    private static let commonName: [UInt8] = [0x55, 0x04, 0x03]

    /// Writes what an authority's leaves have in common.
    ///
    /// - Throws: SwiftASN1's error when the authority's name cannot be written.
    init(subject: DistinguishedName, keyIdentifier: ArraySlice<UInt8>, keyType: SigningKeyType) throws {
        var serializer = DER.Serializer()
        try serializer.serialize(subject)
        issuer = serializer.serializedBytes
        // RFC 5758 §3.2 and RFC 4055 §5: the parameters are absent for ECDSA and NULL for RSA.
        switch keyType {
        case .ecP256:
            signatureAlgorithm = .ecdsaWithSHA256
            algorithm = Self.ecdsaWithSHA256
        case .ecP384:
            signatureAlgorithm = .ecdsaWithSHA384
            algorithm = [0x30, 0x0A, 0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x04, 0x03, 0x03]
        case .rsa2048, .rsa4096:
            signatureAlgorithm = .sha256WithRSAEncryption
            algorithm = [0x30, 0x0D, 0x06, 0x09, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x0B, 0x05, 0x00]
        }
        var writer = DERWriter(capacity: 48)
        Self.addExtension([0x55, 0x1D, 0x23], to: &writer) { value in
            value.element(DERWriter.Tag.sequence) { $0.element(0x80, content: keyIdentifier) }
        }
        authorityKeyIdentifier = writer.bytes
    }

    /// Writes the `TBSCertificate` of a leaf.
    package func toBeSigned(_ template: LeafTemplate) -> [UInt8] {
        typealias Tag = DERWriter.Tag
        var writer = DERWriter(capacity: 768)
        writer.element(Tag.sequence) { certificate in
            // Version 3.
            certificate.append([0xA0, 0x03, 0x02, 0x01, 0x02])
            certificate.integer(template.serial.bytes)
            certificate.append(algorithm)
            certificate.append(issuer)
            certificate.element(Tag.sequence) { validity in
                validity.time(template.validity.lowerBound)
                validity.time(template.validity.upperBound)
            }
            // Never the CA's own name: OpenSSL calls a leaf self-signed whose subject is its issuer's.
            certificate.element(Tag.sequence) { name in
                Self.addAttribute(Self.organization, "Mintmark SVID", to: &name)
                if let host = template.dnsNames.first, host.utf8.count <= 64 {
                    Self.addAttribute(Self.commonName, host, to: &name)
                }
            }
            certificate.append(template.key.info)
            certificate.element(0xA3) { explicit in
                explicit.element(Tag.sequence) { extensions in
                    extensions.append(Self.usages)
                    Self.addExtension([0x55, 0x1D, 0x0E], to: &extensions) { value in
                        value.element(Tag.octetString, content: template.key.identifier)
                    }
                    extensions.append(authorityKeyIdentifier)
                    Self.addExtension([0x55, 0x1D, 0x11], to: &extensions) { value in
                        value.element(Tag.sequence) { names in
                            names.element(0x86, content: "\(template.id)".utf8)
                            for name in template.dnsNames { names.element(0x82, content: name.utf8) }
                        }
                    }
                }
            }
        }
        return writer.bytes
    }

    /// Puts a signature under what was signed.
    package func certificate(_ toBeSigned: [UInt8], signature: [UInt8]) -> [UInt8] {
        var writer = DERWriter(capacity: toBeSigned.count + signature.count + 32)
        writer.element(DERWriter.Tag.sequence) { certificate in
            certificate.append(toBeSigned)
            certificate.append(algorithm)
            certificate.element(DERWriter.Tag.bitString) { bits in
                // No bit is unused.
                bits.append(CollectionOfOne<UInt8>(0))
                bits.append(signature)
            }
        }
        return writer.bytes
    }

    private static func addExtension(
        _ identifier: [UInt8], to writer: inout DERWriter, _ value: (inout DERWriter) -> Void
    ) {
        writer.element(DERWriter.Tag.sequence) { item in
            item.element(DERWriter.Tag.objectIdentifier, content: identifier)
            item.element(DERWriter.Tag.octetString, value)
        }
    }

    private static func addAttribute(_ identifier: [UInt8], _ text: String, to writer: inout DERWriter) {
        writer.element(DERWriter.Tag.set) { set in
            set.element(DERWriter.Tag.sequence) { attribute in
                attribute.element(DERWriter.Tag.objectIdentifier, content: identifier)
                attribute.element(DERWriter.Tag.utf8String, content: text.utf8)
            }
        }
    }
}
