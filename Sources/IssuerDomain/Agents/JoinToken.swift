internal import Crypto
package import Foundation
package import Platform
package import SPIFFE

/// What the issuer keeps of a join token: enough to know it again, not enough to use it.
package struct JoinTokenRecord: Hashable, Sendable {
    /// SHA-256 of the token's text.
    package let digest: [UInt8]
    package let expiresAt: Date
    /// The ID that the joining agent gets.
    ///
    /// Drawn apart from the token, so that knowing one says nothing of the other.
    package let agentID: SPIFFEID

    package init(digest: [UInt8], expiresAt: Date, agentID: SPIFFEID) {
        (self.digest, self.expiresAt, self.agentID) = (digest, expiresAt, agentID)
    }
}

/// The rules of join tokens.
package enum JoinToken {
    /// The `type` of the attestation data that carries one.
    package static let attestationType = "join_token"

    /// Lifetimes an admin may ask for.
    package static let lifetimes = Duration.seconds(1)...Duration.seconds(365 * 24 * 3600)

    /// Draws a token: 32 random bytes, base64url.
    ///
    /// The prefix lets secret scanners know one, and keeps the first character from being a dash, which a command line
    /// would take for a flag.
    package static func draw(using entropy: inout some RandomNumberGenerator) -> SecretText {
        SecretText("mmj_" + Base64URL.encode(entropy.bytes(32)))
    }

    /// What the store knows a token by.
    package static func digest(of token: SecretText) -> [UInt8] {
        Array(SHA256.hash(data: Data(token.exposed.utf8)))
    }

    /// The ID of the agent that will join with a token.
    package static func agentID(
        in trustDomain: TrustDomain, using entropy: inout some RandomNumberGenerator
    ) throws(SPIFFEError) -> SPIFFEID {
        try SPIFFEID(
            trustDomain: trustDomain, path: "/spire/agent/join_token/\(RandomID.draw(using: &entropy))")
    }
}
