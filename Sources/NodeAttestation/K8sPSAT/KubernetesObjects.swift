internal import SPIFFE

/// What a cluster says of a token (TokenReview of `authentication.k8s.io/v1`).
struct KubernetesTokenReview {
    /// The pod that a token was made for, and the account that it stands for.
    struct Holder {
        let namespace: KubernetesName
        let serviceAccount: KubernetesName
        let podName: KubernetesName
        let podUID: String
        /// The node that the token is bound to; newer clusters say so.
        let nodeUID: String?
    }

    let isAuthenticated: Bool
    let audiences: [String]
    private let username: String?
    private let extra: JSONObject

    /// Reads an answer; nil when it is not a token review, or says that the token could not be reviewed.
    init?(_ object: JSONObject) {
        guard object["kind"]?.string == "TokenReview", let status = object["status"]?.object else { return nil }
        guard (status["error"]?.string ?? "").isEmpty else { return nil }
        if case .bool(true)? = status["authenticated"] { isAuthenticated = true } else { isAuthenticated = false }
        audiences = (status["audiences"]?.array ?? []).compactMap(\.string)
        let user = status["user"]?.object ?? JSONObject()
        username = user["username"]?.string
        extra = user["extra"]?.object ?? JSONObject()
    }

    /// Who holds the token; nil for one that is not of a service account, or not bound to a pod.
    var holder: Holder? {
        let words = (username ?? "").split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        guard words.count == 4, words[0] == "system", words[1] == "serviceaccount",
            let namespace = KubernetesName(words[2]), let serviceAccount = KubernetesName(words[3]),
            let podName = only("pod-name").flatMap(KubernetesName.init), let podUID = only("pod-uid")
        else { return nil }
        return Holder(
            namespace: namespace, serviceAccount: serviceAccount, podName: podName, podUID: podUID,
            nodeUID: only("node-uid"))
    }

    /// The value of an extra field of the cluster's own that has just one.
    private func only(_ name: String) -> String? {
        guard let values = extra["authentication.kubernetes.io/\(name)"]?.array, values.count == 1,
            let value = values[0].string, !value.isEmpty
        else { return nil }
        return value
    }
}

/// A pod or a node, as far as it is asked for.
struct KubernetesObject {
    let name: KubernetesName
    /// Nil for what belongs to no namespace.
    let namespace: KubernetesName?
    let uid: String
    let labels: [(key: String, value: String)]

    // Of pods only.
    let serviceAccount: String?
    let nodeName: KubernetesName?
    let hostAddress: String?

    /// Reads an answer; nil for one of another kind, or without a name or UID.
    ///
    /// - Parameters:
    ///   - object: The answer.
    ///   - kind: What it must be.
    init?(_ object: JSONObject, kind: String) {
        guard object["kind"]?.string == kind, let metadata = object["metadata"]?.object,
            let name = metadata["name"]?.string.flatMap(KubernetesName.init), let uid = metadata["uid"]?.string,
            !uid.isEmpty
        else { return nil }
        (self.name, self.uid) = (name, uid)
        namespace = metadata["namespace"]?.string.flatMap(KubernetesName.init)
        labels = (metadata["labels"]?.object ?? JSONObject()).compactMap { label in
            label.value.string.map { (label.name, $0) }
        }
        let specification = object["spec"]?.object
        serviceAccount = specification?["serviceAccountName"]?.string
        nodeName = specification?["nodeName"]?.string.flatMap(KubernetesName.init)
        hostAddress = object["status"]?.object?["hostIP"]?.string
    }
}
