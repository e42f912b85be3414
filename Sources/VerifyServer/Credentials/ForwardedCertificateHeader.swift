package import HTTPTypes
internal import SPIFFE
internal import SwiftASN1
package import WorkloadIdentity
package import X509

/// The one header in which a proxy passes on the certificate that its TLS client presented.
///
/// It proves something only where the proxy removes or overwrites what the client itself sends under that name, and has
/// seen the client use the certificate's key. Hence one header is believed and not both: a proxy that writes the one
/// passes the other on as it came.
package enum ForwardedCertificateHeader: String, CaseIterable, Sendable {
    /// The leaf alone, percent-encoded PEM: nginx's `$ssl_client_escaped_cert`.
    case sslClientCert = "x-ssl-client-cert"
    /// Leaf and intermediates, among other things: what Envoy writes.
    case forwardedClientCert = "x-forwarded-client-cert"

    /// The header's name.
    package var name: HTTPField.Name {
        switch self {
        case .sslClientCert: Self.sslClientCertName
        case .forwardedClientCert: Self.forwardedClientCertName
        }
    }

    /// Finds the certificates that the client presented; nothing about them has been checked.
    ///
    /// - Parameter fields: The request's headers.
    /// - Returns: The certificates, leaf first; nil when the client presented none.
    /// - Throws: ``PeerRefusal`` with code `invalidIdentity` when the header cannot be read, or says two things.
    package func certificates(in fields: HTTPFields) throws(PeerRefusal) -> [Certificate]? {
        let values = fields[values: name]
        guard values.count <= 1 else { throw refusal("comes more than once") }
        guard let value = values.first, !value.isEmpty else { return nil }
        switch self {
        case .sslClientCert: return try parse(value)
        case .forwardedClientCert: return try parse(try encodedChain(value))
        }
    }

    /// The chain, or else the leaf, that the one element holds.
    private func encodedChain(_ value: String) throws(PeerRefusal) -> String {
        guard let parsed = ForwardedClientCertificate(parsing: value) else { throw refusal("is malformed") }
        // With more, the first ones are what the client says about itself.
        guard parsed.elements.count == 1, let element = parsed.elements.first else {
            throw refusal("holds more than one element; the proxy must overwrite it, not append")
        }
        for key in ["chain", "cert"] {
            let values = element.filter { $0.key == key }.map(\.value)
            guard values.count <= 1 else { throw refusal("names \(key) twice") }
            if let value = values.first { return value }
        }
        throw refusal("holds neither Chain nor Cert; the proxy must be told to write one")
    }

    private func parse(_ encoded: String) throws(PeerRefusal) -> [Certificate] {
        guard let text = PercentEncoding.decode(encoded.utf8) else { throw refusal("is not percent-encoded text") }
        let end = "-----END CERTIFICATE-----"
        var blocks = text.split(separator: end, omittingEmptySubsequences: false)
        guard let tail = blocks.popLast(), tail.allSatisfy(\.isWhitespace), !blocks.isEmpty else {
            throw refusal("is not PEM with certificates")
        }
        // Counted before anything is parsed.
        guard blocks.count <= X509SVIDVerification.maximumChainLength else {
            throw refusal("holds more than \(X509SVIDVerification.maximumChainLength) certificates")
        }
        do {
            return try blocks.map { try Certificate(pemEncoded: $0 + end) }
        } catch {
            throw refusal("holds a certificate that cannot be parsed")
        }
    }

    private func refusal(_ flaw: String) -> PeerRefusal { PeerRefusal(.invalidIdentity, "header \(rawValue) \(flaw)") }

    // Letters and dashes make a name.
    private static let sslClientCertName = headerName(.sslClientCert)
    private static let forwardedClientCertName = headerName(.forwardedClientCert)

    private static func headerName(_ header: Self) -> HTTPField.Name {
        guard let name = HTTPField.Name(header.rawValue) else { preconditionFailure("a name of ours is malformed") }
        return name
    }
}
