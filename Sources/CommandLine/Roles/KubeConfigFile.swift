internal import Bootstrap
internal import Foundation
internal import NodeAttestation
internal import Platform

/// A kubeconfig file, as far as it says how to reach the cluster of its current context.
struct KubeConfigFile {
    /// Why it says nothing that can be used here; never with what stands in it.
    struct Unusable: Error, CustomStringConvertible {
        let description: String
        let hint: String

        init(_ description: String, hint: String = "write a kubeconfig file with one cluster, one user and one context")
        {
            (self.description, self.hint) = (description, hint)
        }
    }

    let access: KubernetesAccess

    /// Reads a file.
    ///
    /// - Parameters:
    ///   - text: What it holds.
    ///   - folder: Where it is, which its paths are relative to.
    /// - Throws: ``Unusable``.
    init(_ text: String, folder: String) throws(Unusable) {
        let parsed: DocumentNode?
        do throws(DocumentError) { parsed = try DocumentNode.parse(text) } catch {
            throw Unusable("line \(error.line): \(error.message)")
        }
        guard let root = parsed, let current = root["current-context"]?.text else {
            throw Unusable("it names no current-context")
        }
        let context = try Self.part("context", of: "contexts", named: current, root)
        guard let clusterName = context["cluster"]?.text, let userName = context["user"]?.text else {
            throw Unusable("the context '\(current)' names no cluster or no user")
        }
        let cluster = try Self.part("cluster", of: "clusters", named: clusterName, root)
        let user = try Self.part("user", of: "users", named: userName, root)
        for name in ["insecure-skip-tls-verify", "proxy-url", "tls-server-name"] {
            if let value = cluster[name]?.text, value != "false" {
                throw Unusable("the cluster '\(clusterName)' has \(name), which is not supported")
            }
        }
        guard let server = cluster["server"]?.text else { throw Unusable("the cluster '\(clusterName)' has no server") }
        guard
            let authority = try Self.material(
                inline: cluster["certificate-authority-data"]?.text, isBase64: true,
                path: cluster["certificate-authority"]?.text, folder)
        else {
            throw Unusable(
                "the cluster '\(clusterName)' has no certificate-authority",
                hint: "a cluster is believed by its own authorities alone")
        }
        // A file is renewed, so it goes before what was written down once.
        guard
            let token = try Self.material(
                inline: user["token"]?.text, isBase64: false, path: user["tokenFile"]?.text, folder)
        else {
            throw Unusable(
                "the user '\(userName)' has neither token nor tokenFile",
                hint: "client certificates and programs are not supported: give the server a service account's token")
        }
        do throws(NodeAttestationError) {
            access = try KubernetesAccess(server: server, authority: authority, token: token)
        } catch { throw Unusable("\(error)") }
    }

    private static func part(
        _ kind: String, of list: String, named name: String, _ root: DocumentNode
    ) throws(Unusable) -> DocumentNode {
        guard case .list(let elements)? = root[list]?.value else { throw Unusable("it has no \(list)") }
        let found = elements.filter { $0["name"]?.text == name }
        guard found.count == 1, let part = found.first?[kind] else {
            throw Unusable("it does not have one \(kind) named '\(name)'")
        }
        return part
    }

    private static func material(
        inline: String?, isBase64: Bool, path: String?, _ folder: String
    ) throws(Unusable) -> KubernetesAccess.Material? {
        if let path, !path.isEmpty, !(isBase64 && inline != nil) {
            return .file(path.hasPrefix("/") ? path : "\(folder)/\(path)")
        }
        guard let inline, !inline.isEmpty else { return nil }
        guard isBase64 else { return .given(SecretBytes(inline.utf8)) }
        guard let bytes = Data(base64Encoded: inline) else {
            throw Unusable("certificate-authority-data is not base64")
        }
        return .given(SecretBytes(bytes))
    }
}

extension DocumentNode {
    fileprivate subscript(name: String) -> DocumentNode? {
        guard case .members(let members) = value else { return nil }
        return members.first { $0.name == name }?.node
    }

    fileprivate var text: String? {
        if case .scalar(let text, isPlain: _) = value { text } else { nil }
    }
}
