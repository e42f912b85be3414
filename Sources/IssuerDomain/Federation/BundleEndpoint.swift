internal import Foundation
package import SPIFFE

/// Where another trust domain publishes its bundle, and how the endpoint is known.
package struct BundleEndpoint: Hashable, Sendable {
    /// How the endpoint proves who it is; one is never tried in place of the other (FED-21).
    package enum Profile: Hashable, Sendable {
        /// By its host name, through the authorities that the machine trusts.
        case web
        /// By an X.509-SVID with this ID (FED-28).
        case spiffe(SPIFFEID)
    }

    package var url: BundleEndpointURL
    package var profile: Profile

    package init(url: BundleEndpointURL, profile: Profile) { (self.url, self.profile) = (url, profile) }
}

extension BundleEndpoint.Profile: CustomStringConvertible {
    package var description: String {
        switch self {
        case .web: "https_web"
        case .spiffe(let id): "https_spiffe, \(id)"
        }
    }
}

/// The URL of a bundle endpoint: `https`, with a host, without user, password and fragment (FED-07).
///
/// An admin chooses it, and the issuer then connects wherever it says, also to this machine and its own network.
package struct BundleEndpointURL: Hashable, Sendable, CustomStringConvertible {
    package static let maximumLength = 2048

    package let text: String

    /// - Throws: ``FederationError/badEndpointURL(_:)``, which never repeats the URL: it may hold a password.
    package init(_ text: String) throws(FederationError) {
        guard (1...Self.maximumLength).contains(text.utf8.count) else {
            throw .badEndpointURL("it is empty, or longer than \(Self.maximumLength) bytes")
        }
        // Whatever two parsers could read in two ways.
        guard text.utf8.allSatisfy({ (0x21...0x7e).contains($0) && $0 != UInt8(ascii: "\\") }) else {
            throw .badEndpointURL("it holds more than printable ASCII")
        }
        guard let parts = URLComponents(string: text) else { throw .badEndpointURL("it cannot be read") }
        guard parts.scheme?.lowercased() == "https" else { throw .badEndpointURL("its scheme is not https") }
        guard let host = parts.host, !host.isEmpty else { throw .badEndpointURL("it names no host") }
        let authority = text.dropFirst("https://".count).prefix { $0 != "/" && $0 != "?" && $0 != "#" }
        guard parts.user == nil, parts.password == nil, !authority.contains("@") else {
            throw .badEndpointURL("it holds a user or a password")
        }
        guard parts.fragment == nil else { throw .badEndpointURL("it has a fragment") }
        if let port = parts.port, !(1...65535).contains(port) { throw .badEndpointURL("its port is out of range") }
        self.text = text
    }

    package var description: String { text }
}
