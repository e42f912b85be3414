internal import NodeAttestation
internal import Platform

/// What a node says its TPM has made, each after a letter that says which reader it is for.
enum TPMTarget {
    static func judge(_ input: [UInt8], flaw: Flaw?) {
        guard let reader = input.first else { return }
        let bytes = Array(input.dropFirst())
        let read = flaw?.unpadded(bytes) ?? bytes
        switch reader {
        case UInt8(ascii: "p"): judgeArea(bytes, read)
        case UInt8(ascii: "c"): judgeCertification(bytes, read)
        case UInt8(ascii: "s"): judgeSignature(bytes, read)
        case UInt8(ascii: "e"): judgeMessages(bytes)
        default: return
        }
    }

    private static func judgeArea(_ bytes: [UInt8], _ read: [UInt8]) {
        guard let area = try? TPMPublicArea(parsing: read) else {
            claim(
                (try? TPMPublicArea(parsingFile: bytes)).map { $0.bytes.count == bytes.count - 2 } ?? true,
                "only a length is cut off")
            return
        }
        claim(area.bytes == bytes, "the area is kept as it came, whole")
        claim(number(bytes, 2, 2) == UInt64(area.nameAlgorithm.rawValue), "the algorithm is that of its field")
        claim(number(bytes, 4, 4) == UInt64(area.attributes.rawValue), "the attributes are those of their field")
        claim(
            area.name.count == 2 + area.nameAlgorithm.size && area.name.starts(with: bytes[2..<4]),
            "the name is a digest")
        claim(area.authorizationPolicy.count <= 64, "a policy is no longer than a digest")
        claim((try? TPMPublicArea(parsingFile: length(of: bytes) + bytes)) == area, "a file may say how long it is")
        let end: [UInt8]
        switch area.key {
        case .rsa(let bits, let modulus):
            claim(
                number(bytes, 0, 2) == 1 && modulus.count * 8 == bits && modulus[0] >= 0x80, "a modulus is of full size"
            )
            end = length(of: modulus) + modulus
        case .elliptic(let curve, let x, let y):
            claim(
                number(bytes, 0, 2) == 0x23 && x.count == curve.size && y.count == curve.size,
                "coordinates are of full size")
            end = Array(y.drop { $0 == 0 })
        }
        claim(end.count <= bytes.count && bytes.suffix(end.count).elementsEqual(end), "nothing follows the key")
        _ = area.certificateKey
        var entropy = Numbers()
        guard
            let credential = try? TPMCredential(
                protecting: [UInt8](repeating: 1, count: 32), for: area.name, endorsementKey: area, using: &entropy)
        else { return }
        claim(area.protectionKeySize != nil, "only a key that protects others can protect")
        claim(credential.blob.count == 2 + area.nameAlgorithm.size + 2 + 32, "a credential is as long as its parts")
        claim(credential.blob.firstRange(of: [UInt8](repeating: 1, count: 32)) == nil, "a credential shows no secret")
    }

    private static func judgeCertification(_ bytes: [UInt8], _ read: [UInt8]) {
        guard let statement = try? TPMCertification(parsing: read) else { return }
        claim(number(bytes, 0, 4) == 0xFF54_4347 && number(bytes, 4, 2) == 0x8017, "only such a statement is one")
        var offset = 6
        func sized() -> [UInt8] {
            guard let size = number(bytes, offset, 2), offset + 2 + Int(size) <= bytes.count else {
                broken("it is whole")
            }
            defer { offset += 2 + Int(size) }
            return Array(bytes[(offset + 2)..<(offset + 2 + Int(size))])
        }
        _ = sized()
        _ = sized()
        offset += 25
        claim(sized() == statement.name, "the name is that of its field")
        _ = sized()
        claim(offset == bytes.count, "nothing follows it")
    }

    private static func judgeSignature(_ bytes: [UInt8], _ read: [UInt8]) {
        guard let signature = try? TPMSignature(parsing: read) else { return }
        switch signature {
        case .rsassa(let hash, let value):
            claim(number(bytes, 0, 2) == 0x14 && number(bytes, 2, 2) == UInt64(hash.rawValue), "its scheme is RSA's")
            claim(bytes == Array(bytes[..<4]) + length(of: value) + value, "all of it is the signature")
            claim(signature.x509Bytes == value, "X.509 has the same bytes")
        case .ecdsa(let hash, let r, let s):
            claim(number(bytes, 0, 2) == 0x18 && number(bytes, 2, 2) == UInt64(hash.rawValue), "its scheme is ECDSA")
            claim(bytes == Array(bytes[..<4]) + length(of: r) + r + length(of: s) + s, "all of it is two numbers")
            let fields = DERForest(signature.x509Bytes[...])?.trees.first?.children ?? []
            claim(fields.count == 2 && fields.allSatisfy { $0.tag == 2 }, "X.509 has a sequence of two integers")
            for (field, number) in zip(fields, [r, s]) {
                claim(
                    field.content.bytes.drop { $0 == 0 }.elementsEqual(number.drop { $0 == 0 }),
                    "the integers are the numbers")
                claim((field.content.bytes.first ?? 0xFF) < 0x80, "no integer is negative")
            }
        }
    }

    private static func judgeMessages(_ bytes: [UInt8]) {
        if let evidence = try? TPMDevIDMessages.Evidence(parsing: bytes) {
            claim((try? TPMDevIDMessages.Evidence(parsing: evidence.message)) == evidence, "evidence reads as written")
        }
        if let challenge = try? TPMDevIDMessages.Challenge(parsing: bytes) {
            claim(
                (try? TPMDevIDMessages.Challenge(parsing: challenge.message)) == challenge,
                "a challenge reads as written")
        }
        if let answer = try? TPMDevIDMessages.Answer(parsing: bytes) {
            claim((try? TPMDevIDMessages.Answer(parsing: answer.message)) == answer, "an answer reads as written")
        }
    }

    private static func number(_ bytes: [UInt8], _ offset: Int, _ size: Int) -> UInt64? {
        guard offset >= 0, offset + size <= bytes.count else { return nil }
        return bytes[offset..<(offset + size)].reduce(0) { $0 << 8 | UInt64($1) }
    }

    private static func length(of bytes: [UInt8]) -> [UInt8] {
        [UInt8(truncatingIfNeeded: bytes.count >> 8), UInt8(truncatingIfNeeded: bytes.count)]
    }

    /// The same numbers every time, so that the same input does the same.
    private struct Numbers: Entropy {
        private var chance = Chance(seed: 3)

        mutating func next() -> UInt64 { UInt64(chance.draw(1 << 31)) << 32 | UInt64(chance.draw(1 << 31)) }
    }
}
