/// Selectors that begin alike and say the same kind of thing, such as those that begin with `unix:uid`.
package struct SelectorFamily: Hashable, Sendable {
    /// What may follow the prefix.
    package enum ValueRule: Hashable, Sendable {
        /// A number as the kernel prints it, without sign or leading zeros.
        case decimal(maximum: UInt64)
        /// The SHA-256 of something: 64 hex digits, in lower case.
        case digest
        case absolutePath
        case choice([String])
        /// One of some words, or the inode of a namespace.
        case choiceOrInode([String])
        /// `NAME=VALUE`; the name is not empty.
        case pair
        case text
    }

    /// Kind and keys, such as `exec:script:sha256`.
    package let prefix: String
    package let rule: ValueRule
    /// Below this level nothing stands behind the fact, so no entry with such a selector can ask for less.
    package let minimum: AssuranceLevel
    /// Whether it says which program runs, or where: what a default level above the selectors' own is for.
    package let namesProgram: Bool
    /// How much it narrows and how hard it is to have it falsely; 0 is never worth a suggestion.
    package let strength: Int
    /// At most 39 characters, for people: beside a spelling it has to fit a terminal.
    package let meaning: String

    package init(
        _ prefix: String, _ rule: ValueRule, from minimum: AssuranceLevel, namesProgram: Bool = true, strength: Int,
        _ meaning: String
    ) {
        (self.prefix, self.rule, self.minimum) = (prefix, rule, minimum)
        (self.namesProgram, self.strength, self.meaning) = (namesProgram, strength, meaning)
    }

    /// The attestor's name: what stands before the first colon.
    package var kind: String { String(prefix.prefix { $0 != ":" }) }

    /// How it is written, such as `unix:uid:N`.
    package var spelling: String { "\(prefix):\(rule.placeholder)" }
}

extension SelectorFamily.ValueRule {
    /// What stands for a value where one is explained.
    package var placeholder: String {
        switch self {
        case .decimal: "N"
        case .digest: "HEX"
        case .absolutePath: "/PATH"
        case .choice(let words): words.joined(separator: "|")
        case .choiceOrInode(let words): (words + ["INODE"]).joined(separator: "|")
        case .pair: "NAME=VALUE"
        case .text: "TEXT"
        }
    }

    /// Whether a value is spelt as an attestor would spell it.
    package func admits(_ value: String) -> Bool {
        switch self {
        case .decimal(let maximum): Self.number(value).map { $0 <= maximum } ?? false
        case .digest: Self.isDigest(value)
        case .absolutePath: value.utf8.first == UInt8(ascii: "/")
        case .choice(let words): words.contains(value)
        case .choiceOrInode(let words): words.contains(value) || Self.number(value) != nil
        case .pair: value.utf8.first != UInt8(ascii: "=") && value.utf8.contains(UInt8(ascii: "="))
        case .text: !value.isEmpty
        }
    }

    /// A value that would be admitted, close to one that is not, or a placeholder for it.
    func correction(of value: String) -> String {
        guard !value.isEmpty else { return "…" }
        switch self {
        case .decimal: return "1000"
        case .digest:
            let folded = value.lowercased()
            return Self.isDigest(folded) ? folded : "<64 hex digits>"
        case .absolutePath: return "/\(value)"
        case .choice(let words), .choiceOrInode(let words):
            return NearestWord.to(value, among: words) ?? placeholder
        case .pair, .text: return placeholder
        }
    }

    private static func number(_ text: String) -> UInt64? {
        guard let number = UInt64(text), String(number).utf8.elementsEqual(text.utf8) else { return nil }
        return number
    }

    private static func isDigest(_ text: String) -> Bool {
        text.utf8.count == 64
            && text.utf8.allSatisfy { byte in
                (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
                    || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(byte)
            }
    }
}

/// Names what somebody probably meant.
enum NearestWord {
    /// The candidate at the smallest edit distance.
    ///
    /// - Parameters:
    ///   - word: What was written, in any case.
    ///   - candidates: What could have been meant.
    /// - Returns: nil when even the nearest is more than two edits away, or shares nothing with the word.
    static func to(_ word: String, among candidates: [String]) -> String? {
        guard word.utf8.count <= 64 else { return nil }
        let word = word.lowercased()
        let ranked = candidates.map { ($0, EditDistance.between($0, word)) }.min { $0.1 < $1.1 }
        guard let (candidate, distance) = ranked, distance <= 2, distance < candidate.utf8.count else { return nil }
        return candidate
    }
}
