internal import SPIFFE

/// What an agent shows, in the words of SPIRE's attestor `k8s_psat`.
enum K8sPSATMessages {
    static func payload(cluster: String, token: String) -> [UInt8] {
        JSONValue.members(["cluster": .string(cluster), "token": .string(token)]).message
    }

    static func parse(_ payload: [UInt8]) throws(NodeAttestationError) -> (cluster: String, token: String) {
        let message = try EvidenceMessage(payload, as: "payload")
        let (cluster, token) = (try message.text("cluster"), try message.text("token"))
        guard !cluster.isEmpty, !token.isEmpty else { throw .malformed("payload names no cluster or holds no token") }
        return (cluster, token)
    }
}
