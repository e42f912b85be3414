package import Foundation

/// A host certificate of OpenSSH (PROTOCOL.certkeys).
///
/// Parsed, not judged: whose it is and when it holds is ``judge(authorities:now:)``.
package struct SSHHostCertificate: Sendable {
    /// More than any host has names.
    static let maximumPrincipals = 64
    private static let suffix = "-cert-v01@openssh.com"
    private static let host: UInt32 = 2

    /// The certificate as it travels.
    package let blob: [UInt8]
    package let key: SSHPublicKey
    package let keyID: String
    /// The names that the host has, the first one first.
    package let principals: [String]
    /// Seconds since 1970; the end is the first instant at which the certificate no longer holds.
    package let validity: (start: UInt64, end: UInt64)

    private let type: UInt32
    private let hasCriticalOptions: Bool
    private let authority: SSHPublicKey
    private let signature: SSHSignature
    private let signed: [UInt8]

    /// Parses a certificate.
    ///
    /// - Throws: ``NodeAttestationError``.
    package init(blob: [UInt8]) throws(NodeAttestationError) {
        self.blob = blob
        var reader = SSHReader(blob)
        let type = try reader.text()
        guard type.hasSuffix(Self.suffix) else { throw .malformed("the SSH key is not a certificate") }
        _ = try reader.bytes()
        key = try SSHPublicKey(type: String(type.dropLast(Self.suffix.count)), from: &reader)
        _ = try reader.longNumber()
        self.type = try reader.number()
        keyID = try reader.text()
        var names = SSHReader(try reader.bytes())
        var principals: [String] = []
        while !names.isAtEnd {
            guard principals.count < Self.maximumPrincipals else {
                throw .refused("the SSH certificate has more than \(Self.maximumPrincipals) principals")
            }
            principals.append(try names.text())
        }
        self.principals = principals
        validity = (try reader.longNumber(), try reader.longNumber())
        hasCriticalOptions = try !reader.bytes().isEmpty
        _ = try reader.bytes()
        _ = try reader.bytes()
        authority = try SSHPublicKey(blob: try reader.bytes())
        signed = Array(blob.dropLast(reader.remaining))
        signature = try SSHSignature(wire: try reader.bytes())
        guard reader.isAtEnd else { throw .malformed("something follows the SSH certificate") }
    }

    /// Judges whether this is a sound host certificate now.
    ///
    /// - Parameters:
    ///   - authorities: Whose signatures count.
    ///   - now: The time.
    /// - Returns: The host's first name.
    /// - Throws: ``NodeAttestationError/refused(_:)``.
    package func judge(authorities: [SSHPublicKey], now: Date) throws(NodeAttestationError) -> String {
        guard type == Self.host else { throw .refused("the SSH certificate is not a host's") }
        guard authorities.contains(where: { $0.blob == authority.blob }) else {
            throw .refused("the SSH certificate is not by an authority that is trusted here")
        }
        guard authority.hasSigned(signed, signature) else {
            throw .refused("the SSH certificate's signature is not its authority's")
        }
        // OpenSSH defines none for hosts, and one that is not known must not be passed over.
        guard !hasCriticalOptions else { throw .refused("the SSH certificate has critical options") }
        let instant = now.timeIntervalSince1970
        guard instant >= 0, Double(validity.start) <= instant, instant < Double(validity.end) else {
            throw .refused("the SSH certificate is outside of its validity")
        }
        // A certificate without principals holds for every name there is, so it proves none.
        guard let name = principals.first, !name.isEmpty else {
            throw .refused("the SSH certificate has no principal")
        }
        return name
    }
}

/// The one-line text form of keys and certificates.
package enum SSHKeyLine {
    /// The blob of a line `type base64 comment`, as in `.pub` files and lists of authorities.
    ///
    /// - Throws: ``NodeAttestationError/malformed(_:)``.
    package static func blob(_ line: some StringProtocol) throws(NodeAttestationError) -> [UInt8] {
        let words = line.split(whereSeparator: \.isWhitespace)
        guard words.count >= 2, let data = Data(base64Encoded: String(words[1])) else {
            throw .malformed("not a line with an SSH key")
        }
        let blob = Array(data)
        var reader = SSHReader(blob)
        guard try reader.text() == words[0] else { throw .malformed("an SSH key's line names another type") }
        return blob
    }

    /// The keys of a list, one a line; empty lines and those that start with `#` do not count.
    ///
    /// - Throws: ``NodeAttestationError``.
    package static func keys(in text: String) throws(NodeAttestationError) -> [SSHPublicKey] {
        var keys: [SSHPublicKey] = []
        for line in text.split(whereSeparator: \.isNewline) {
            guard let first = line.first(where: { !$0.isWhitespace }), first != "#" else { continue }
            keys.append(try SSHPublicKey(blob: try blob(line)))
        }
        return keys
    }
}
