import Foundation
import IssuerDomain
import KeyStore
import Platform
import SPIFFE
import Testing
import X509

@Suite("Signatures that are made elsewhere")
struct SignatureCheckTests {
    @Test("A token that a device signed wrongly does not leave, whatever the key", arguments: SigningKeyType.allCases)
    func lyingDevice(type: SigningKeyType) async throws {
        let key = DeviceKey(key: try SoftwareSigningKey(generating: type), spoil: true)
        let error = #expect(throws: IssuanceError.self) { try sign(with: key) }
        guard case .lintFailed? = error else {
            Issue.record("refused as \(String(describing: error))")
            return
        }
        let sound = try sign(with: DeviceKey(key: key.key, spoil: false))
        let authority = try JWTVerificationKey(derRepresentation: key.publicKeyDER)
        let parts = sound.token.exposed.split(separator: ".")
        let signature = Data(try #require(Base64URL.decode(parts[2].utf8)))
        #expect(
            authority.isValidSignature(
                signature, for: Data("\(parts[0]).\(parts[1])".utf8), algorithm: type.jwtAlgorithm))
    }

    @Test("A token signed in this process is one that strangers accept", arguments: SigningKeyType.allCases)
    func ownKeys(type: SigningKeyType) async throws {
        let key = try SoftwareSigningKey(generating: type)
        let token = try sign(with: key).token.exposed
        let bundle = JWTBundle(
            trustDomain: try Given.trustDomain(),
            authorities: ["key": try JWTVerificationKey(derRepresentation: key.publicKeyDER)])
        let read = try JWTSVID.verify(token, audience: "\"quoted\"\\", at: Given.start) { _ in bundle }
        #expect("\(read.id)" == "spiffe://example.org/web")
        #expect(read.audience == ["db", "\"quoted\"\\"])
    }

    private func sign(with key: any SigningKey) throws -> IssuedJWTSVID {
        var entropy = SystemEntropy()
        let server = ServerID(using: &entropy)
        let record = AuthorityRecord(
            id: "key", kind: .jwt, state: .active, origin: .server(server, keyName: "jwt-1"),
            notBefore: Given.start - 10, notAfter: Given.start + 3600, publicDER: Array(key.publicKeyDER))
        let lifetime = try LifetimeDecision(
            asked: .seconds(60), isDefault: true, entryEnd: nil, authority: record.notBefore..<record.notAfter,
            now: Given.start)
        return try JWTSigner.sign(
            JWTTemplate(
                id: try SPIFFEID("spiffe://example.org/web"), audience: ["db", "\"quoted\"\\"], issuedAt: Given.start,
                lifetime: lifetime, issuer: nil, tokenID: "one"),
            under: try JWTAuthority(record: record, key: key), using: &entropy)
    }
}

/// A key that a device has, which may answer anything.
private struct DeviceKey: SigningKey {
    let key: SoftwareSigningKey
    let spoil: Bool

    var type: SigningKeyType { key.type }
    var signsElsewhere: Bool { true }
    var certificateKey: Certificate.PrivateKey { key.certificateKey }
    var publicKeyDER: Data { key.publicKeyDER }

    func jwsSignature(for input: Data) throws(KeyStoreError) -> Data {
        try key.jwsSignature(for: spoil ? input + [0] : input)
    }
}
