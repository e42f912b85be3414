internal import Crypto
internal import Foundation

/// What a node signs with the key that it registered when it joined.
///
/// The statement names its purpose and the key that the new SVID will have, so that a signature got for one attestation
/// is of no use in another, nor anywhere else that the key might sign.
package enum NodeKeyStatement {
    private static let attestation = Array("mintmark node key: attest\0".utf8)
    private static let registration = Array("mintmark node key: register\0".utf8)

    /// What is signed to come back.
    static func attestation(_ nonces: PossessionNonces, agentKey: [UInt8]) -> [UInt8] {
        attestation + nonces.challenger + nonces.responder + Array(SHA256.hash(data: agentKey))
    }

    /// What is signed to register the key, which shows that whoever does so has it.
    ///
    /// - Parameter agentID: The agent that registers it, as text.
    /// - Returns: The statement.
    package static func registration(agentID: String) -> [UInt8] { registration + Array(agentID.utf8) }

    /// Whether a registration is by the key that it registers.
    ///
    /// - Parameters:
    ///   - publicKey: SubjectPublicKeyInfo, DER, of a P-256 key.
    ///   - signature: ECDSA over SHA-256, DER.
    ///   - agentID: The agent that registers the key, as text.
    /// - Returns: Whether it is.
    package static func isRegistration(publicKey: [UInt8], signature: [UInt8], agentID: String) -> Bool {
        hasSigned(registration(agentID: agentID), publicKey: publicKey, signature: signature)
    }

    static func hasSigned(_ statement: [UInt8], publicKey: [UInt8], signature: [UInt8]) -> Bool {
        guard publicKey.count <= 256, let key = try? P256.Signing.PublicKey(derRepresentation: publicKey),
            let signature = try? P256.Signing.ECDSASignature(derRepresentation: signature)
        else { return false }
        return key.isValidSignature(signature, for: statement)
    }
}
