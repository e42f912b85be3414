package import Platform

/// How a cluster's API is reached, and by what right.
package struct KubernetesAccess: Hashable, Sendable {
    /// Where a pod finds what it may ask its own cluster with.
    package static let podFolder = "/var/run/secrets/kubernetes.io/serviceaccount"

    /// The API server, such as `https://10.96.0.1:443`; without a slash at its end.
    package let server: String
    /// The authorities that its certificate must lead to, PEM.
    package let authority: Material
    /// The bearer token to show it.
    package let token: Material

    /// What the cluster is asked with.
    package enum Material: Hashable, Sendable {
        /// A file, read for each call, because clusters renew their tokens.
        case file(String)
        case given(SecretBytes)
    }

    /// Creates the access.
    ///
    /// - Throws: ``NodeAttestationError/unavailable(_:)`` unless the server is an `https` URL: a token is sent there.
    package init(server: String, authority: Material, token: Material) throws(NodeAttestationError) {
        let trimmed = server.hasSuffix("/") ? String(server.dropLast()) : server
        guard trimmed.hasPrefix("https://"), trimmed.utf8.count > 8, !trimmed.utf8.contains(UInt8(ascii: "?")) else {
            throw .unavailable("the address of a cluster's API must begin with https://")
        }
        (self.server, self.authority, self.token) = (trimmed, authority, token)
    }

    /// Creates the access from files.
    ///
    /// - Throws: ``NodeAttestationError/unavailable(_:)`` unless the server is an `https` URL.
    package init(server: String, authorityPath: String, tokenPath: String) throws(NodeAttestationError) {
        try self.init(server: server, authority: .file(authorityPath), token: .file(tokenPath))
    }

    /// The access that a pod has to its own cluster.
    ///
    /// - Parameters:
    ///   - host: What `KUBERNETES_SERVICE_HOST` says.
    ///   - port: What `KUBERNETES_SERVICE_PORT` says.
    /// - Throws: ``NodeAttestationError/unavailable(_:)`` when the two make no address.
    package init(podEnvironment host: String, port: String) throws(NodeAttestationError) {
        let isIPv6 = host.utf8.contains(UInt8(ascii: ":"))
        try self.init(
            server: "https://\(isIPv6 ? "[\(host)]" : host):\(port)", authorityPath: "\(Self.podFolder)/ca.crt",
            tokenPath: "\(Self.podFolder)/token")
    }
}
