import SPIFFE
import TestSupport
import Testing

@Suite("Base64url")
struct Base64URLTests {
    @Test(
        "agrees with the vectors of RFC 4648 §10 and RFC 7515 appendix C, without padding",
        arguments: [
            ("", ""), ("f", "Zg"), ("fo", "Zm8"), ("foo", "Zm9v"), ("foob", "Zm9vYg"), ("fooba", "Zm9vYmE"),
            ("foobar", "Zm9vYmFy"),
        ])
    func vectors(_ plain: String, _ encoded: String) throws {
        #expect(Base64URL.encode(Array(plain.utf8)) == encoded)
        #expect(Base64URL.decode(encoded.utf8) == Array(plain.utf8))
    }

    @Test("uses dash and underscore")
    func alphabet() {
        #expect(Base64URL.encode([3, 236, 255, 224, 193]) == "A-z_4ME")
        #expect(Base64URL.decode("A-z_4ME".utf8) == [3, 236, 255, 224, 193])
    }

    @Test(
        "J21 refuses what is not canonical",
        arguments: [
            "Zg==", "Zm8=", "=", "Z", "Zm9vY", "Zm9v Zm9v", " Zm9v", "Zm9v\n", "Zm+v", "Zm/v", "Zm9v.", "Zh", "Zm9",
            "Zn",
            "Zm\u{F6}v", "\u{0}\u{0}\u{0}\u{0}",
        ])
    func refuses(_ text: String) {
        #expect(Base64URL.decode(text.utf8) == nil)
    }

    @Test("gives all bytes back", arguments: 0..<100)
    func roundTrip(_ length: Int) {
        let bytes = Self.bytes(length)
        let text = Base64URL.encode(bytes)
        #expect(text.utf8.count == (length * 4 + 2) / 3)
        #expect(Base64URL.decode(text.utf8) == bytes)
    }

    @Test("J21 has one spelling only: a stray bit at the end is refused", arguments: (0..<100).filter { $0 % 3 != 0 })
    func strayBit(_ length: Int) throws {
        let text = Base64URL.encode(Self.bytes(length))
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)
        let last = try #require(text.utf8.last)
        let position = try #require(alphabet.firstIndex(of: last))
        #expect(Base64URL.decode(Array(text.utf8.dropLast()) + [alphabet[position | 1]]) == nil)
    }

    private static func bytes(_ length: Int) -> [UInt8] {
        var entropy = SeededEntropy(UInt64(length))
        return (0..<length).map { _ in UInt8(truncatingIfNeeded: entropy.next()) }
    }
}
