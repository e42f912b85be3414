internal import SPIFFE

/// What the halves of `mintmark_node_key` send each other.
enum NodeKeyMessages {
    static func payload(agentID: String) -> [UInt8] { JSONValue.members(["agent_id": .string(agentID)]).message }

    static func agentID(in payload: [UInt8]) throws(NodeAttestationError) -> String {
        try EvidenceMessage(payload, as: "payload").text("agent_id")
    }

    static func challenge(nonce: [UInt8]) -> [UInt8] { JSONValue.members(["nonce": .base64(nonce)]).message }

    static func nonce(in challenge: [UInt8]) throws(NodeAttestationError) -> [UInt8] {
        try EvidenceMessage(challenge, as: "challenge").bytes("nonce")
    }

    static func answer(nonce: [UInt8], signature: [UInt8]) -> [UInt8] {
        JSONValue.members(["nonce": .base64(nonce), "signature": .base64(signature)]).message
    }

    static func answer(
        in message: [UInt8]
    ) throws(NodeAttestationError) -> (nonce: [UInt8], signature: [UInt8]) {
        let message = try EvidenceMessage(message, as: "answer")
        return (try message.bytes("nonce"), try message.bytes("signature"))
    }
}
