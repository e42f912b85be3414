internal import Crypto
internal import SwiftASN1
internal import X509

extension SigningRequest {
    /// The requested key as SubjectPublicKeyInfo, DER.
    ///
    /// - Throws: ``AgentRefusal/badRequest(detail:)`` when it cannot be written out again.
    package func keyDER() throws(AgentRefusal) -> [UInt8] {
        var serializer = DER.Serializer()
        do { try serializer.serialize(publicKey) } catch {
            throw .badRequest(detail: "the requested key cannot be read back")
        }
        return serializer.serializedBytes
    }

    /// SHA-256 of the requested key.
    func keyDigest() throws(AgentRefusal) -> [UInt8] { Array(SHA256.hash(data: try keyDER())) }
}
