/// Which pods `k8s_psat` lets in.
package struct K8sPSATSettings: Sendable {
    /// A cluster that nodes may come from.
    package struct Cluster: Sendable {
        /// The service accounts that agents run under, each as `namespace:name` (`service_account_allow_list`).
        package let serviceAccounts: Set<String>
        /// Of whom a token must say that it is for one of them (`audience`).
        ///
        /// Empty to leave it to the cluster, which then takes tokens that are for its own API.
        package var audiences: [String]
        /// How the cluster is asked (`kube_config_file`).
        package let access: KubernetesAccess
        /// Of which labels of the node selectors are made (`allowed_node_label_keys`).
        package var nodeLabelKeys: Set<String>
        /// Of which labels of the pod selectors are made (`allowed_pod_label_keys`).
        package var podLabelKeys: Set<String>
        /// Whether an agent is called after its pod, so that a machine may have several (`use_pod_uid_for_agent_id`).
        package var namesAgentsAfterPods: Bool

        package init(
            serviceAccounts: Set<String>, audiences: [String] = ["spire-server"], access: KubernetesAccess,
            nodeLabelKeys: Set<String> = [], podLabelKeys: Set<String> = [], namesAgentsAfterPods: Bool = false
        ) {
            (self.serviceAccounts, self.audiences, self.access) = (serviceAccounts, audiences, access)
            (self.nodeLabelKeys, self.podLabelKeys) = (nodeLabelKeys, podLabelKeys)
            self.namesAgentsAfterPods = namesAgentsAfterPods
        }
    }

    /// By the name that agents call it by, which becomes part of their SPIFFE IDs (`clusters`).
    package let clusters: [String: Cluster]

    /// Creates the settings.
    ///
    /// - Throws: ``NodeAttestationError/unavailable(_:)`` when a cluster's name cannot stand in a SPIFFE ID, or a
    ///   cluster lets nobody in.
    package init(clusters: [String: Cluster]) throws(NodeAttestationError) {
        for (name, cluster) in clusters {
            guard K8sPSATAttestor.isSegment(name) else {
                throw .unavailable("the cluster name '\(name)' cannot stand in a SPIFFE ID")
            }
            guard !cluster.serviceAccounts.isEmpty else {
                throw .unavailable("cluster '\(name)' names no service account that agents run under")
            }
        }
        self.clusters = clusters
    }
}
