import SPIFFE
import TestSupport
import Testing

@Suite("Edit distance")
struct EditDistanceTests {
    @Test(
        "counts insertions, deletions and replacements",
        arguments: [
            ("", "", 0), ("a", "", 1), ("", "abc", 3), ("abc", "abc", 0), ("kitten", "sitting", 3),
            ("trust_domian", "trust_domain", 2), ("bindport", "bind_port", 1), ("a", "b", 1), ("ab", "ba", 2),
        ])
    func counts(_ one: String, _ other: String, _ distance: Int) {
        #expect(EditDistance.between(one, other) == distance)
        #expect(EditDistance.between(other, one) == distance)
    }

    @Test("keeps the triangle inequality", arguments: UInt64(0)..<50)
    func triangle(_ seed: UInt64) {
        var entropy = SeededEntropy(seed)
        func word() -> String {
            String(
                (0..<Int.random(in: 0...8, using: &entropy)).map { _ in "abc".randomElement(using: &entropy) ?? "a" })
        }
        let (one, two, three) = (word(), word(), word())
        let direct = EditDistance.between(one, three)
        #expect(direct <= EditDistance.between(one, two) + EditDistance.between(two, three))
        #expect((direct == 0) == (one == three))
    }
}
