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
    /// Who has used it; nil while nobody has.
    package var redemption: JoinTokenRedemption?

    package init(digest: [UInt8], expiresAt: Date, agentID: SPIFFEID, redemption: JoinTokenRedemption? = nil) {
        (self.digest, self.expiresAt, self.agentID, self.redemption) = (digest, expiresAt, agentID, redemption)
    }
}

/// The one use of a join token.
package struct JoinTokenRedemption: Hashable, Sendable {
    /// SHA-256 of the SubjectPublicKeyInfo for which the SVID was asked.
    package let keyDigest: [UInt8]
    package let at: Date

    package init(keyDigest: [UInt8], at: Date) { (self.keyDigest, self.at) = (keyDigest, at) }
}

/// What using a join token comes to.
package enum JoinTokenVerdict: Hashable, Sendable {
    case firstUse
    /// The same node asks again for the same key, because the first answer did not reach it.
    case repeated
    case refused
}

extension JoinTokenRecord {
    /// Judges a use of the token.
    ///
    /// - Parameters:
    ///   - keyDigest: SHA-256 of the SubjectPublicKeyInfo for which an SVID is asked; its possession has been proven.
    ///   - now: The time.
    /// - Returns: The verdict; what is `firstUse` here may have been used by the time the store is asked.
    package func judge(keyDigest: [UInt8], now: Date) -> JoinTokenVerdict {
        guard let redemption else { return expiresAt > now ? .firstUse : .refused }
        let isInTime = now < redemption.at + JoinToken.redemptionWindow.timeInterval
        return isInTime && redemption.keyDigest == keyDigest ? .repeated : .refused
    }
}

/// The rules of join tokens.
package enum JoinToken {
    /// The `type` of the attestation data that carries one.
    package static let attestationType = "join_token"

    /// Lifetimes an admin may ask for.
    package static let lifetimes = Duration.seconds(1)...Duration.seconds(365 * 24 * 3600)

    /// How long a node whose first answer was lost may ask again, for the same key and no other.
    package static let redemptionWindow = Duration.seconds(600)

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
