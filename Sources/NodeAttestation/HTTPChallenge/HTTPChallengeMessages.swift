internal import SPIFFE

/// What the halves of `http_challenge` send each other, in the words of SPIRE's attestor of that name.
enum HTTPChallengeMessages {
    /// Where a node says that it can be asked.
    struct Place {
        let hostname: String
        let agentName: String
        let port: Int
    }

    static func payload(_ place: Place) -> [UInt8] {
        JSONValue.members([
            "hostname": .string(place.hostname), "agentname": .string(place.agentName), "port": .integer(place.port),
        ]).message
    }

    static func place(in payload: [UInt8]) throws(NodeAttestationError) -> Place {
        let message = try EvidenceMessage(payload, as: "payload")
        guard let port = Int(exactly: try message.number("port")), (1...65535).contains(port) else {
            throw .malformed("payload has no sound 'port'")
        }
        return Place(hostname: try message.text("hostname"), agentName: try message.text("agentname"), port: port)
    }

    static func challenge(nonce: String) -> [UInt8] { JSONValue.members(["nonce": .string(nonce)]).message }

    static func nonce(in challenge: [UInt8]) throws(NodeAttestationError) -> String {
        let nonce = try EvidenceMessage(challenge, as: "challenge").text("nonce")
        // It goes out over HTTP as it is.
        guard (1...128).contains(nonce.utf8.count), nonce.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
            throw .malformed("challenge has no sound 'nonce'")
        }
        return nonce
    }

    /// Where an agent answers; the name has been judged.
    static func path(agentName: String) -> String {
        "/.well-known/spiffe/nodeattestor/http_challenge/\(agentName)/challenge"
    }

    /// Whether a name is one that an agent may have: a letter, then letters, digits and dashes, 32 at most.
    static func isAgentName(_ name: String) -> Bool {
        guard let first = name.utf8.first, (1...32).contains(name.utf8.count) else { return false }
        return isLetter(first) && name.utf8.allSatisfy { isLetter($0) || isDigit($0) || $0 == UInt8(ascii: "-") }
    }

    private static func isLetter(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
    }

    private static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }
}
