import Glibc
import NodeAttestation
import Platform
import Synchronization
import TestSupport
import Testing

@Suite("Structures of TPMs")
struct TPMStructureTests {
    /// An endorsement key of P-256 by the field's template L-2, its point all ones.
    private static let sound: [UInt8] =
        [0x00, 0x23, 0x00, 0x0B, 0x00, 0x03, 0x00, 0xB2, 0x00, 0x20] + [UInt8](repeating: 0x83, count: 32)
        + [0x00, 0x06, 0x00, 0x80, 0x00, 0x43, 0x00, 0x10, 0x00, 0x03, 0x00, 0x10]
        + [0x00, 0x20] + [UInt8](repeating: 1, count: 32) + [0x00, 0x20] + [UInt8](repeating: 1, count: 32)

    private static let statement: [UInt8] =
        [0xFF, 0x54, 0x43, 0x47, 0x80, 0x17, 0x00, 0x02, 0x00, 0x0B, 0x00, 0x00] + [UInt8](repeating: 0, count: 25)
        + [0x00, 0x03, 0x00, 0x0B, 0x07, 0x00, 0x00]

    @Test("A public area is read field by field")
    func publicArea() throws {
        let area = try TPMPublicArea(parsing: Self.sound)
        #expect(area.nameAlgorithm == .sha256)
        #expect(area.attributes == [.resident, .administratorWithPolicy, .restricted, .decrypt])
        #expect(area.authorizationPolicy.count == 32)
        #expect(area.protectionKeySize == 128)
        #expect(area.scheme == nil)
        let ones = [UInt8](repeating: 1, count: 32)
        #expect(area.key == .elliptic(.p256, x: ones, y: ones))
        #expect(area.name.starts(with: [0x00, 0x0B]) && area.name.count == 34)
        #expect(area.certificateKey == nil, "the point does not lie on the curve")
        #expect(try TPMPublicArea(parsingFile: [0, UInt8(Self.sound.count)] + Self.sound) == area)
        #expect(try TPMPublicArea(parsingFile: Self.sound) == area)
    }

    @Test(
        "What is not relied on cannot be parsed",
        arguments: [
            (1, 0x25, "key type 0x25 is not accepted"), (3, 0x04, "hash algorithm 0x4 is not accepted"),
            (9, 0x41, "a field of 65 bytes is longer than 64"),
            (43, 0x0A, "a key protects others in a way that is not accepted"),
            (45, 0x81, "a key protects others in a way that is not accepted"),
            (47, 0x42, "a key protects others in a way that is not accepted"),
            (49, 0x1A, "signature scheme 0x1a is not accepted"), (51, 0x05, "elliptic curve 0x5 is not accepted"),
            (55, 0x21, "a field of 33 bytes is longer than 32"),
        ] as [(Int, UInt8, String)])
    func refuses(_ position: Int, _ byte: UInt8, because reason: String) {
        var bytes = Self.sound
        bytes[position] = byte
        #expect(throws: TPMFormatError(reason)) { try TPMPublicArea(parsing: bytes) }
    }

    @Test("RSA keys are of the sizes that TPMs make, with the exponent that they make them with")
    func rsa() throws {
        func area(bits: [UInt8], exponent: [UInt8], modulus: [UInt8]) -> [UInt8] {
            [0x00, 0x01, 0x00, 0x0B, 0x00, 0x04, 0x00, 0x72, 0x00, 0x00, 0x00, 0x10, 0x00, 0x14, 0x00, 0x0B] + bits
                + exponent + [UInt8(modulus.count >> 8), UInt8(modulus.count & 0xFF)] + modulus
        }
        let modulus = [0x80] + [UInt8](repeating: 1, count: 255)
        let sound = try TPMPublicArea(parsing: area(bits: [8, 0], exponent: [0, 0, 0, 0], modulus: modulus))
        #expect(sound.key == .rsa(bits: 2048, modulus: modulus) && sound.scheme == .rsassa(.sha256))
        #expect(
            try TPMPublicArea(parsing: area(bits: [8, 0], exponent: [0, 1, 0, 1], modulus: modulus)).key == sound.key)
        for (bits, exponent, modulus) in [
            ([4, 0], [0, 0, 0, 0], Array(modulus.prefix(128))), ([8, 0], [0, 0, 0, 3], modulus),
            ([8, 0], [0, 0, 0, 0], Array(modulus.dropLast())), ([12, 0], [0, 0, 0, 0], modulus),
            ([8, 0], [0, 0, 0, 0], [0x7F] + modulus.dropFirst()), ([8, 0], [0, 0, 0, 0], modulus.dropLast() + [2]),
            ([8, 0], [0, 0, 0, 0], []),
        ] as [([UInt8], [UInt8], [UInt8])] {
            #expect(throws: TPMFormatError.self) {
                try TPMPublicArea(parsing: area(bits: bits, exponent: exponent, modulus: modulus))
            }
        }
    }

    @Test("A statement must be the TPM's own, and about a key that it holds")
    func statement() throws {
        #expect(try TPMCertification(parsing: Self.statement).name == [0x00, 0x0B, 0x07])
        for (position, byte) in [(0, 0xFE), (3, 0x48), (5, 0x18), (4, 0x81)] as [(Int, UInt8)] {
            var bytes = Self.statement
            bytes[position] = byte
            #expect(throws: TPMFormatError.self) { try TPMCertification(parsing: bytes) }
        }
    }

    @Test("A signature on a curve is the DER that X.509 has")
    func signature() throws {
        let signature = try TPMSignature(parsing: [
            0x00, 0x18, 0x00, 0x0B, 0x00, 0x02, 0x80, 0x01, 0x00, 0x02, 0x00, 0x05,
        ])
        #expect(signature.scheme == .ecdsa(.sha256))
        #expect(signature.x509Bytes == [0x30, 0x08, 0x02, 0x03, 0x00, 0x80, 0x01, 0x02, 0x01, 0x05])
        #expect(TPMSignature.ecdsa(.sha256, r: [0, 0], s: []).x509Bytes == [0x30, 0x06, 0x02, 0x01, 0, 0x02, 0x01, 0])
        #expect(throws: TPMFormatError("signature scheme 0x16 is not accepted")) {
            try TPMSignature(parsing: [0x00, 0x16, 0x00, 0x0B, 0x00, 0x00])
        }
        #expect(throws: TPMFormatError.self) { try TPMSignature(parsing: [0x00, 0x14, 0x00, 0x0B, 0x00, 0x02, 0x01]) }
    }

    /// Answers with errors, one after another, and then as it should.
    private final class BusyTPM: TPMTransport {
        private let left: Mutex<[UInt32]>
        let asked = Mutex(0)

        init(_ codes: [UInt32]) { left = Mutex(codes) }

        func exchange(_ command: [UInt8]) throws(TPMError) -> [UInt8] {
            asked.withLock { $0 += 1 }
            let code = left.withLock { $0.isEmpty ? 0 : $0.removeFirst() }
            return [0x80, 0x01, 0, 0, 0, 10] + (0..<4).map { UInt8(truncatingIfNeeded: code >> (24 - 8 * $0)) }
        }
    }

    @Test("A TPM that is busy, testing, or has no room now is asked again; one that refuses is not")
    func busy() throws {
        let busy = BusyTPM([0x922, 0x908, 0x90A, 0x902, 0x903])
        try TPMSession(busy).run { (tpm) throws(TPMError) in try tpm.flush(7) }
        #expect(busy.asked.withLock { $0 } == 6)
        let refusing = BusyTPM([0x98E])
        #expect(throws: TPMError.refused(.flushContext, code: 0x98E)) {
            try TPMSession(refusing).run { (tpm) throws(TPMError) in try tpm.flush(7) }
        }
        #expect(refusing.asked.withLock { $0 } == 1)
    }

    @Test("A device that somebody else has open is waited for, and another error is one at once")
    func openElsewhere() {
        var attempts = 0
        let opened = TPMTurn.waiting(for: EBUSY) {
            attempts += 1
            errno = EBUSY
            return attempts < 3 ? -1 : 7
        }
        #expect(opened == 7 && attempts == 3)
        attempts = 0
        let denied = TPMTurn.waiting(for: EBUSY) {
            attempts += 1
            errno = EACCES
            return -1
        }
        #expect(denied == -1 && attempts == 1)
        attempts = 0
        let never = TPMTurn.waiting(for: EBUSY, attempts: 3) {
            attempts += 1
            errno = EBUSY
            return -1
        }
        #expect(never == -1 && attempts == 3 && errno == EBUSY)
    }

    @Test("Cut short, or with something after them, they cannot be parsed")
    func lengths() {
        for length in 0..<Self.sound.count {
            #expect(throws: TPMFormatError.self) { try TPMPublicArea(parsing: Array(Self.sound.prefix(length))) }
        }
        for length in 0..<Self.statement.count {
            #expect(throws: TPMFormatError.self) { try TPMCertification(parsing: Array(Self.statement.prefix(length))) }
        }
        #expect(throws: TPMFormatError("1 bytes follow it")) { try TPMPublicArea(parsing: Self.sound + [0]) }
        #expect(throws: TPMFormatError("1 bytes follow it")) { try TPMCertification(parsing: Self.statement + [0]) }
        #expect(throws: TPMFormatError.self) { try TPMPublicArea(parsing: [UInt8](repeating: 0, count: 1025)) }
    }

    @Test("No bytes end the process, and what is parsed is what was there")
    func anyBytes() throws {
        var entropy = SeededEntropy(17)
        for round in 0..<20_000 {
            var bytes = round % 2 == 0 ? Self.sound : Self.statement
            for _ in 0..<Int.random(in: 1...4, using: &entropy) {
                bytes[Int.random(in: 0..<bytes.count, using: &entropy)] = UInt8.random(in: 0...255, using: &entropy)
            }
            if round % 5 == 0 { bytes = Array(bytes.prefix(Int.random(in: 0...bytes.count, using: &entropy))) }
            if let area = try? TPMPublicArea(parsing: bytes) {
                #expect(area.bytes == bytes && area.name.count == area.nameAlgorithm.size + 2)
                _ = area.certificateKey
            }
            if let signature = try? TPMSignature(parsing: bytes) { _ = signature.x509Bytes }
            _ = try? TPMCertification(parsing: bytes)
        }
    }

    @Test("A label and a seed make one OAEP block, which no other label makes")
    func encoding() throws {
        let seed = [UInt8](repeating: 9, count: 32)
        let block = try #require(
            OAEPEncoding.block(of: [1, 2, 3], label: Array("IDENTITY\0".utf8), hash: .sha256, seed: seed, size: 256))
        #expect(block.count == 256 && block[0] == 0)
        #expect(block != OAEPEncoding.block(of: [1, 2, 3], label: [], hash: .sha256, seed: seed, size: 256))
        #expect(OAEPEncoding.block(of: [1], label: [], hash: .sha256, seed: [], size: 256) == nil)
        let longest = [UInt8](repeating: 1, count: 190)
        #expect(OAEPEncoding.block(of: longest, label: [], hash: .sha256, seed: seed, size: 256)?.count == 256)
        #expect(OAEPEncoding.block(of: longest + [1], label: [], hash: .sha256, seed: seed, size: 256) == nil)
    }

    @Test("A credential is made only for a key that protects others, and is never the same twice")
    func credential() throws {
        var entropy = SeededEntropy(1)
        let offCurve = try TPMPublicArea(parsing: Self.sound)
        #expect(throws: TPMFormatError("the endorsement key cannot be encrypted for")) {
            try TPMCredential(protecting: [1], for: [2], endorsementKey: offCurve, using: &entropy)
        }
        #expect(throws: TPMFormatError("the secret is too long")) {
            try TPMCredential(
                protecting: [UInt8](repeating: 1, count: 33), for: [2], endorsementKey: offCurve, using: &entropy)
        }
        var signer = Self.sound
        signer.replaceSubrange(42..<48, with: [0x00, 0x10])
        let unprotecting = try TPMPublicArea(parsing: signer)
        #expect(throws: TPMFormatError("the endorsement key protects no others")) {
            try TPMCredential(protecting: [1], for: [2], endorsementKey: unprotecting, using: &entropy)
        }
    }
}
