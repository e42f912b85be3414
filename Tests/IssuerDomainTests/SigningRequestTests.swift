import Crypto
import Foundation
import IssuerDomain
import SPIFFE
import Testing
import X509

@Suite("Signing requests")
struct SigningRequestTests {
    @Test("A request conveys its key, and no name unless it asks for one")
    func conveysKey() throws {
        let key = P256.Signing.PrivateKey()
        let request = try SigningRequest(der: SigningRequestMaker.request(signedBy: key))
        #expect(request.publicKey == Certificate.PublicKey(key.publicKey))
        #expect(try request.names() == SigningRequest.Names())
    }

    @Test("Keys of every type that is signed for are read", arguments: SigningKeyType.allCases)
    func keyTypes(type: SigningKeyType) async throws {
        let key = try await MemoryKeyStore().generate("any", type: type).certificateKey
        #expect(try SigningRequest(der: Given.requestDER(key)).publicKey == key.publicKey)
    }

    @Test("Names asked for are read, for what an admin mints")
    func names() throws {
        let key = Certificate.PrivateKey(P256.Signing.PrivateKey())
        let extensions = try Certificate.Extensions {
            SubjectAlternativeNames([
                .uniformResourceIdentifier("spiffe://example.org/web"), .dnsName("a.example"), .dnsName("b.example"),
                .rfc822Name("x@example.org"),
            ])
        }
        let request = try SigningRequest(der: Given.requestDER(key, extensions: extensions)).names()
        #expect(request.uri == "spiffe://example.org/web")
        #expect(request.dnsNames == ["a.example", "b.example"])
    }

    @Test("Of two URIs neither is taken")
    func twoURIs() throws {
        let key = Certificate.PrivateKey(P256.Signing.PrivateKey())
        let extensions = try Certificate.Extensions {
            SubjectAlternativeNames([
                .uniformResourceIdentifier("spiffe://example.org/a"),
                .uniformResourceIdentifier("spiffe://example.org/b"),
            ])
        }
        #expect(try SigningRequest(der: Given.requestDER(key, extensions: extensions)).names().uri == nil)
    }

    @Test("Nothing is refused as nothing")
    func empty() {
        #expect(throws: IssuanceError.badSigningRequest(detail: "it is empty")) { try SigningRequest(der: []) }
    }

    @Test("More than 16 KiB is refused unread")
    func tooLong() {
        #expect(throws: IssuanceError.badSigningRequest(detail: "it is too long")) {
            try SigningRequest(der: [UInt8](repeating: 0x30, count: (16 << 10) + 1))
        }
    }

    @Test(
        "What is no PKCS#10 is refused",
        arguments: [
            [0], [0x30, 0x00], [0x30, 0x84, 0xFF, 0xFF, 0xFF, 0xFF], Array("-----BEGIN".utf8),
            [UInt8](repeating: 0x30, count: 16 << 10),
        ])
    func garbage(der: [UInt8]) {
        #expect(throws: IssuanceError.badSigningRequest(detail: "it is not PKCS#10")) { try SigningRequest(der: der) }
    }

    @Test("A request cut off anywhere, or with anything after it, is refused")
    func truncated() throws {
        let der = try SigningRequestMaker.request(signedBy: P256.Signing.PrivateKey())
        for length in stride(from: 1, to: der.count, by: 7) {
            #expect(throws: IssuanceError.badSigningRequest(detail: "it is not PKCS#10"), "\(length) bytes") {
                try SigningRequest(der: Array(der.prefix(length)))
            }
        }
        #expect(throws: IssuanceError.badSigningRequest(detail: "it is not PKCS#10")) {
            try SigningRequest(der: der + [0])
        }
    }

    @Test("A request signed by another key is refused: it proves nothing")
    func foreignSignature() throws {
        let (key, other) = (P256.Signing.PrivateKey(), P256.Signing.PrivateKey())
        var der = try SigningRequestMaker.request(signedBy: key)
        let (mine, theirs) = (Array(key.publicKey.x963Representation), Array(other.publicKey.x963Representation))
        let position = try #require(der.firstRange(of: mine))
        der.replaceSubrange(position, with: theirs)
        #expect(throws: IssuanceError.badSigningRequest(detail: "its signature is not its key's")) {
            try SigningRequest(der: der)
        }
    }

    @Test("A flipped bit anywhere is refused, or leaves the key as it was")
    func flippedBits() throws {
        let key = P256.Signing.PrivateKey()
        let der = try SigningRequestMaker.request(signedBy: key)
        var refused = 0
        for position in der.indices {
            var flipped = der
            flipped[position] ^= 0x01
            do {
                let request = try SigningRequest(der: flipped)
                #expect(request.publicKey == Certificate.PublicKey(key.publicKey), "byte \(position)")
            } catch { refused += 1 }
        }
        #expect(refused > der.count * 9 / 10)
    }

    @Test("Keys of other kinds are refused: P-521")
    func p521() throws {
        let der = try Given.requestDER(Certificate.PrivateKey(P521.Signing.PrivateKey()))
        #expect(throws: IssuanceError.keyNotAllowed) { try SigningRequest(der: der) }
    }

    @Test("Keys of other kinds are refused: Ed25519")
    func ed25519() throws {
        let der = try Given.requestDER(Certificate.PrivateKey(Curve25519.Signing.PrivateKey()))
        #expect(throws: IssuanceError.keyNotAllowed) { try SigningRequest(der: der) }
    }

    @Test("Keys too short to trust are refused: RSA of 1024 bits")
    func rsa1024() throws {
        // A request whose key was thrown away; no library here makes keys this short any more.
        let base64 = """
            MIIBSzCBtQIBADAMMQowCAYDVQQKDAF4MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQC7yIks99HiO2quPgvdEZ
            QhyLcedhc0TV92WqV7ZDloHRUB/iih+VSvUqQwdSWsY6tb7n/neWtJrFvgkABjTLXwDvk368iDOyTN+1Cxb0KXo9DH
            I0TUsBUEVcPsFIc9vh2qoyfqDQoWcm9IcQn3i4sPoylJPNIEr2UKD0AwN4xcwwIDAQABoAAwDQYJKoZIhvcNAQELBQ
            ADgYEAiI9X/dCcbETZSa8p43PIzaST5+bY+iOOiVKotnS+scG+h18Z4+4jlalIzPVsY31luqWA5Bj14kgFgFv0NEm4
            MZGy95Mlra6tfZXyhhkME5YJLcKNCjqps5DV9NY5PnreEvjxlyBbe0Plz3z3x8ROG/3Dfs4AKldGNdG9iQgcmJo=
            """
        let der = try #require(Data(base64Encoded: base64, options: .ignoreUnknownCharacters))
        let error = #expect(throws: IssuanceError.self) { try SigningRequest(der: Array(der)) }
        #expect(error == .keyNotAllowed || error == .badSigningRequest(detail: "it is not PKCS#10"))
    }
}
