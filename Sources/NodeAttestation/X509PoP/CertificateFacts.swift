internal import Crypto
internal import Foundation
internal import Platform
internal import SPIFFE
internal import SwiftASN1
internal import X509

/// What a node's certificate says of it, once it is proven.
struct CertificateFacts {
    private static let maximumSANSelectors = 32

    /// SHA-1 of the certificate, lower-case hex: a name that the field gives agents, not a proof of anything.
    let fingerprint: String
    /// Lower-case hex, two digits a byte.
    let serialNumber: String
    let commonName: String?
    /// From URI names `x509pop://TRUST-DOMAIN/KEY/VALUE`.
    let sanSelectors: [(key: String, value: String)]

    init(_ certificate: Certificate, trustDomain: TrustDomain) throws(NodeAttestationError) {
        fingerprint = try Self.fingerprint(of: certificate)
        let digits = certificate.serialNumber.bytes.drop { $0 == 0 }
        serialNumber = digits.isEmpty ? "00" : Hex.encode(digits)
        commonName = Self.commonName(of: certificate)
        let names = (try? certificate.extensions.subjectAlternativeNames) ?? nil
        var found: [String: String] = [:]
        for name in names ?? SubjectAlternativeNames() {
            guard case .uniformResourceIdentifier(let uri) = name, found.count < Self.maximumSANSelectors,
                let (key, value) = Self.selector(in: uri, trustDomain)
            else { continue }
            found[key] = value
        }
        sanSelectors = found.sorted { ExactText($0.key) < ExactText($1.key) }.map { ($0.key, $0.value) }
    }

    /// The selectors, in SPIRE's spellings.
    ///
    /// - Parameter issuers: What vouches for the certificate, nearest first.
    /// - Returns: One for each fact.
    /// - Throws: ``NodeAttestationError/malformed(_:)``.
    func selectors(issuedBy issuers: some Sequence<Certificate>) throws(NodeAttestationError) -> [Selector] {
        var values: [String] = []
        if let commonName { values.append("subject:cn:\(commonName)") }
        for issuer in issuers {
            let value = "ca:fingerprint:\(try Self.fingerprint(of: issuer))"
            if !values.contains(value) { values.append(value) }
        }
        values.append("serialnumber:\(serialNumber)")
        values += sanSelectors.map { "san:\($0.key):\($0.value)" }
        // A name that no selector can hold says nothing here.
        return values.compactMap { try? Selector(kind: X509PoPAttestor.type, value: $0) }
    }

    private static func fingerprint(of certificate: Certificate) throws(NodeAttestationError) -> String {
        var serializer = DER.Serializer()
        guard (try? serializer.serialize(certificate)) != nil else {
            throw .malformed("a certificate cannot be written out again")
        }
        return Hex.encode(Insecure.SHA1.hash(data: serializer.serializedBytes))
    }

    private static func commonName(of certificate: Certificate) -> String? {
        for relative in certificate.subject {
            for attribute in relative where attribute.type == .RDNAttributeType.commonName {
                return String(attribute.value).flatMap { $0.isEmpty ? nil : $0 }
            }
        }
        return nil
    }

    private static func selector(in uri: String, _ trustDomain: TrustDomain) -> (key: String, value: String)? {
        let prefix = "x509pop://\(trustDomain.name)/"
        guard uri.hasPrefix(prefix) else { return nil }
        let path = uri.dropFirst(prefix.count).prefix { $0 != "?" && $0 != "#" }
        guard let decoded = String(path).removingPercentEncoding else { return nil }
        let trimmed = decoded.trimmingCharacters(in: CharacterSet(charactersIn: "/"))
        guard let slash = trimmed.firstIndex(of: "/"), slash > trimmed.startIndex else { return nil }
        let value = trimmed[slash...].dropFirst()
        return value.isEmpty ? nil : (String(trimmed[..<slash]), String(value))
    }
}

/// IP addresses as certificates hold them.
enum AddressBytes {
    /// The 4 or 16 bytes of a literal; an IPv4 address in IPv6 clothes is an IPv4 address.
    static func parse(_ literal: String) -> [UInt8]? {
        if IPAddressLiteral.isIPv4(literal) {
            return literal.split(separator: ".").compactMap { UInt8($0) }
        }
        guard IPAddressLiteral.isIPv6(literal) else { return nil }
        let halves = literal.components(separatedBy: "::")
        let sides = halves.map { half in Self.bytes(ofGroups: half) }
        let known = sides.reduce(0) { $0 + $1.count }
        guard known <= 16 else { return nil }
        var bytes = sides[0]
        if sides.count == 2 { bytes += [UInt8](repeating: 0, count: 16 - known) + sides[1] }
        guard bytes.count == 16 else { return nil }
        let isMapped = bytes[..<10].allSatisfy { $0 == 0 } && bytes[10] == 0xFF && bytes[11] == 0xFF
        return isMapped ? Array(bytes[12...]) : bytes
    }

    private static func bytes(ofGroups groups: String) -> [UInt8] {
        groups.split(separator: ":").flatMap { group -> [UInt8] in
            if group.contains(".") { return group.split(separator: ".").compactMap { UInt8($0) } }
            let number = UInt16(group, radix: 16) ?? 0
            return [UInt8(number >> 8), UInt8(number & 0xFF)]
        }
    }
}
