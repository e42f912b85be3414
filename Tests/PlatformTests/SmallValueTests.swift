import Platform
import TestSupport
import Testing

@Suite("Random IDs")
struct RandomIDTests {
    @Test("have the shape of a version 4 UUID", arguments: UInt64(0)..<200)
    func shape(_ seed: UInt64) throws {
        var entropy = SeededEntropy(seed)
        let id = RandomID.draw(using: &entropy)
        #expect(
            id.wholeMatch(of: /[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}/) != nil, "\(id)")
    }

    @Test("follow from the generator alone, and differ from draw to draw")
    func draws() {
        var (one, other) = (SeededEntropy(7), SeededEntropy(7))
        let ids = (0..<1000).map { _ in RandomID.draw(using: &one) }
        #expect(ids == (0..<1000).map { _ in RandomID.draw(using: &other) })
        #expect(Set(ids).count == ids.count)
    }

    @Test("use every bit that the version leaves free")
    func bits() {
        var entropy = SeededEntropy(1)
        var seen = (ones: [UInt8](repeating: 0, count: 32), zeros: [UInt8](repeating: 0, count: 32))
        for _ in 0..<500 {
            let digits = RandomID.draw(using: &entropy).compactMap(\.hexDigitValue)
            for (position, digit) in digits.enumerated() {
                seen.ones[position] |= UInt8(digit)
                seen.zeros[position] |= UInt8(digit) ^ 0xF
            }
        }
        for position in 0..<32 {
            let fixed: UInt8 = position == 12 ? 0b1111 : position == 16 ? 0b1100 : 0
            let free = 0xF & ~fixed
            #expect(seen.ones[position] & free == free)
            #expect(seen.zeros[position] & free == free)
        }
    }
}

@Suite("Entropy")
struct EntropyTests {
    @Test("draws exactly as many bytes as asked for", arguments: [0, 1, 7, 8, 9, 16, 33])
    func count(_ count: Int) {
        var (seeded, system) = (SeededEntropy(), SystemEntropy())
        #expect(seeded.bytes(count).count == count)
        #expect(system.bytes(count).count == count)
    }

    @Test("draws different bytes each time")
    func differs() {
        var system = SystemEntropy()
        #expect(system.bytes(16) != system.bytes(16))
    }
}

@Suite("Hex")
struct HexTests {
    @Test(
        "writes two lower-case digits a byte",
        arguments: [([], ""), ([0], "00"), ([0x0F, 0xF0, 0xAB], "0ff0ab"), ([255, 1], "ff01")] as [([UInt8], String)])
    func encodes(_ bytes: [UInt8], _ text: String) {
        #expect(Hex.encode(bytes) == text)
    }

    @Test("spells every byte as the standard library reads it", arguments: UInt8.min...UInt8.max)
    func everyByte(_ byte: UInt8) {
        #expect(UInt8(Hex.encode([byte]), radix: 16) == byte)
        #expect(Hex.encode([byte]).utf8.count == 2)
    }
}

@Suite("The version")
struct VersionTests {
    @Test("is three numbers")
    func shape() {
        #expect(Version.text.wholeMatch(of: /\d+\.\d+\.\d+/) != nil)
    }
}
