package import OutboundHTTP
package import Platform
internal import SPIFFE

/// Lets pods in that show a token which their cluster has made for them: `k8s_psat`.
///
/// The cluster itself says whom a token is for; what it says of the pod and the node then becomes selectors.
package struct K8sPSATAttestor: NodeAttestor {
    package static let type = "k8s_psat"

    private let settings: K8sPSATSettings
    private let fetcher: any HTTPFetcher
    private let files: any FileSystem

    package init(_ settings: K8sPSATSettings, fetcher: any HTTPFetcher, files: any FileSystem) {
        (self.settings, self.fetcher, self.files) = (settings, fetcher, files)
    }

    package var type: String { Self.type }
    package var canReattest: Bool { true }

    package func attest(
        _ payload: [UInt8], context: NodeAttestationContext, exchange: any ChallengeExchange
    ) async throws(NodeAttestationError) -> AttestedNode {
        let (name, token) = try K8sPSATMessages.parse(payload)
        // Not by the dictionary, which takes two spellings of one accented letter for one name.
        guard let cluster = settings.clusters.first(where: { $0.key.utf8.elementsEqual(name.utf8) })?.value else {
            throw .refused("no such cluster is known")
        }
        let api = KubernetesAPI(access: cluster.access, fetcher: fetcher, files: files)
        let holder = try await holder(of: token, in: cluster, api)
        let (pod, node) = try await place(of: holder, api)
        let path = cluster.namesAgentsAfterPods ? "\(name)/pod/\(pod.uid)" : "\(name)/\(node.uid)"
        guard Self.isSegment(cluster.namesAgentsAfterPods ? pod.uid : node.uid) else {
            throw .refused("the cluster's UID cannot stand in a SPIFFE ID")
        }
        return AttestedNode(
            path: "\(Self.type)/\(path)", selectors: Self.selectors(name, cluster, holder, pod, node),
            canReattest: true)
    }

    /// Whom a token is for, if it is for somebody who may come in.
    private func holder(
        of token: String, in cluster: K8sPSATSettings.Cluster, _ api: KubernetesAPI
    ) async throws(NodeAttestationError) -> KubernetesTokenReview.Holder {
        let review = try await api.review(token: token, audiences: cluster.audiences)
        guard review.isAuthenticated else { throw .refused("the cluster does not know the token") }
        // A cluster that knows nothing of audiences would pass over the question.
        let known = Set(review.audiences.map { ExactText($0) })
        guard cluster.audiences.isEmpty || cluster.audiences.contains(where: { known.contains(ExactText($0)) }) else {
            throw .refused("the token is for another audience")
        }
        guard let holder = review.holder else { throw .refused("the token is not bound to a pod") }
        guard cluster.serviceAccounts.contains("\(holder.namespace):\(holder.serviceAccount)") else {
            throw .refused("the token's service account may not attest nodes")
        }
        return holder
    }

    /// The pod and the node that a token is bound to, as they are now.
    private func place(
        of holder: KubernetesTokenReview.Holder, _ api: KubernetesAPI
    ) async throws(NodeAttestationError) -> (pod: KubernetesObject, node: KubernetesObject) {
        guard let pod = try await api.pod(holder.podName, in: holder.namespace), pod.uid == holder.podUID else {
            throw .refused("the token's pod is gone")
        }
        guard pod.namespace == holder.namespace, pod.serviceAccount == holder.serviceAccount.description else {
            throw .refused("the token's pod does not run under its service account")
        }
        guard let nodeName = pod.nodeName, let node = try await api.node(nodeName) else {
            throw .refused("the token's pod runs on no node")
        }
        if let bound = holder.nodeUID, bound != node.uid { throw .refused("the token is bound to another node") }
        return (pod, node)
    }

    private static func selectors(
        _ name: String, _ cluster: K8sPSATSettings.Cluster, _ holder: KubernetesTokenReview.Holder,
        _ pod: KubernetesObject, _ node: KubernetesObject
    ) -> [Selector] {
        var values = [
            "cluster:\(name)", "agent_ns:\(holder.namespace)", "agent_sa:\(holder.serviceAccount)",
            "agent_pod_name:\(pod.name)", "agent_pod_uid:\(pod.uid)", "agent_node_name:\(node.name)",
            "agent_node_uid:\(node.uid)",
        ]
        if let address = pod.hostAddress, !address.isEmpty { values.append("agent_node_ip:\(address)") }
        for label in node.labels where cluster.nodeLabelKeys.contains(label.key) {
            values.append("agent_node_label:\(label.key):\(label.value)")
        }
        for label in pod.labels where cluster.podLabelKeys.contains(label.key) {
            values.append("agent_pod_label:\(label.key):\(label.value)")
        }
        // A label that no selector can hold says nothing here.
        return values.compactMap { try? Selector(kind: type, value: $0) }
    }

    /// Whether a text can be one segment of a SPIFFE ID's path (SPIFFE-ID §2.2).
    static func isSegment(_ text: String) -> Bool {
        guard let domain = try? TrustDomain("segment"), !text.utf8.contains(UInt8(ascii: "/")) else { return false }
        return (try? SPIFFEID(trustDomain: domain, path: "/\(text)")) != nil
    }
}
