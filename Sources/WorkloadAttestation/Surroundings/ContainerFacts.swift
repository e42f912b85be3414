internal import LinuxKernel

/// The container that a process runs in.
package struct ContainerFacts: Hashable, Sendable {
    /// 64 hex digits.
    package var id: String
    package var runtime: Runtime
    /// What the runtime says of it.
    package var details: Fact<Details>

    /// Whose naming of control groups it follows.
    package enum Runtime: String, Hashable, Sendable {
        case docker, podman, other
    }

    /// The part of the runtime's answer that is used.
    package struct Details: Hashable, Sendable {
        package var name: String?
        /// The image as it was named when the container was made.
        package var image: String?
        /// SHA-256 digests under which registries know the image, without their algorithm.
        package var imageDigests: [String]
        package var labels: [String: String]

        package init(name: String?, image: String?, imageDigests: [String], labels: [String: String]) {
            (self.name, self.image, self.imageDigests, self.labels) = (name, image, imageDigests, labels)
        }
    }

    /// Finds a container's ID in the path of a control group.
    ///
    /// - Parameter path: Such as `/system.slice/docker-ID.scope`, `/docker/ID` or `/machine.slice/libpod-ID.scope`.
    /// - Returns: The ID, whose it is, and how deep the component with it is; the innermost, for containers in
    ///   containers.
    package static func find(in path: String) -> (id: String, runtime: Runtime, depth: Int)? {
        let components = path.split(separator: "/")
        for (index, component) in components.enumerated().reversed() {
            let name = component.hasSuffix(".scope") ? component.dropLast(6) : component
            for (lead, runtime) in [
                ("docker-", Runtime.docker), ("libpod-", .podman), ("cri-containerd-", .other), ("crio-", .other),
            ] where name.hasPrefix(lead) {
                let id = name.dropFirst(lead.count)
                if isID(id) { return (String(id), runtime, index + 1) }
            }
            if index > 0, isID(name) {
                switch components[index - 1] {
                case "docker": return (String(name), .docker, index + 1)
                case "libpod_parent": return (String(name), .podman, index + 1)
                default: break
                }
            }
        }
        return nil
    }

    private static func isID(_ text: Substring) -> Bool {
        text.utf8.count == 64 && text.utf8.allSatisfy { (48...57).contains($0) || (97...102).contains($0) }
    }

    package init(id: String, runtime: Runtime, details: Fact<Details>) {
        (self.id, self.runtime, self.details) = (id, runtime, details)
    }
}
