internal import SPIFFE

/// What the halves of `sshpop` send each other, in the words of SPIRE's attestor of that name.
enum SSHPoPMessages {
    static func payload(_ certificate: [UInt8]) -> [UInt8] {
        JSONValue.members(["Certificate": .base64(certificate)]).message
    }

    static func certificate(in payload: [UInt8]) throws(NodeAttestationError) -> [UInt8] {
        try EvidenceMessage(payload, as: "payload").bytes("Certificate")
    }

    static func challenge(nonce: [UInt8]) -> [UInt8] { JSONValue.members(["Nonce": .base64(nonce)]).message }

    static func nonce(in challenge: [UInt8]) throws(NodeAttestationError) -> [UInt8] {
        try EvidenceMessage(challenge, as: "challenge").bytes("Nonce")
    }

    static func answer(_ signature: SSHSignature, nonce: [UInt8]) -> [UInt8] {
        JSONValue.members([
            "Nonce": .base64(nonce),
            "Signature": .members([
                "Format": .string(signature.format), "Blob": .base64(signature.blob), "Rest": .null,
            ]),
        ]).message
    }

    static func signature(
        in answer: [UInt8]
    ) throws(NodeAttestationError) -> (signature: SSHSignature, nonce: [UInt8]) {
        let message = try EvidenceMessage(answer, as: "answer")
        guard let signature = try message.message("Signature") else { throw .malformed("answer has no signature") }
        return (
            SSHSignature(format: try signature.text("Format"), blob: try signature.bytes("Blob")),
            try message.bytes("Nonce")
        )
    }
}
