/// Changes JSON so that it mostly stays JSON: values trade places, come twice, go, or become others.
///
/// It works on whatever looks like a value, so there may be something else around the JSON.
struct JSONMutation {
    private static let atoms = ["null", "true", "0", "-1", "1e9", "\"\"", "\"a\"", "[]", "{}", "[null]"].map {
        Array($0.utf8)
    }

    private var chance: Chance
    private let changeBytes: ([UInt8]) -> [UInt8]

    /// Creates a change.
    ///
    /// - Parameters:
    ///   - seed: What is changed, and how, follows from this alone.
    ///   - changeBytes: Changes the text of one value.
    init(seed: UInt32, changeBytes: @escaping ([UInt8]) -> [UInt8]) {
        chance = Chance(seed: seed)
        self.changeBytes = changeBytes
    }

    /// Changes one value of the input.
    mutating func change(_ input: [UInt8]) -> [UInt8]? {
        let values = Self.values(in: input)
        guard !values.isEmpty else { return nil }
        let value = values[chance.draw(values.count)]
        let other = Array(input[values[chance.draw(values.count)]])
        var output = input
        switch chance.draw(8) {
        case 0, 1: output.replaceSubrange(value, with: Self.atoms[chance.draw(Self.atoms.count)])
        case 2: output.replaceSubrange(value, with: other)
        case 3: output.insert(contentsOf: [UInt8(ascii: ",")] + other, at: value.upperBound)
        case 4: output.replaceSubrange(value, with: [UInt8(ascii: "[")] + input[value] + [UInt8(ascii: "]")])
        case 5: output.removeSubrange(Self.withComma(value, in: input))
        case 6:
            // A name with its value, or two elements: once more.
            let neighbour = values[chance.draw(values.count)]
            let pair = min(value.lowerBound, neighbour.lowerBound)..<max(value.upperBound, neighbour.upperBound)
            output.insert(contentsOf: [UInt8(ascii: ",")] + input[pair], at: pair.upperBound)
        default: output.replaceSubrange(value, with: changeBytes(Array(input[value])))
        }
        return output
    }

    /// Everything that looks like a value or a name.
    private static func values(in text: [UInt8]) -> [Range<Int>] {
        var (found, open, position) = ([Range<Int>](), [Int](), 0)
        while position < text.count {
            let start = position
            position += 1
            switch text[start] {
            case UInt8(ascii: "{"), UInt8(ascii: "["): open.append(start)
            case UInt8(ascii: "}"), UInt8(ascii: "]"): if let first = open.popLast() { found.append(first..<position) }
            case UInt8(ascii: "\""):
                while position < text.count, text[position] != UInt8(ascii: "\"") {
                    position += text[position] == UInt8(ascii: "\\") ? 2 : 1
                }
                position = min(position + 1, text.count)
                found.append(start..<position)
            case let byte where isInWord(byte):
                while position < text.count, isInWord(text[position]) { position += 1 }
                found.append(start..<position)
            default: break
            }
        }
        return found
    }

    private static func isInWord(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "E"),
            UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "."):
            true
        default: false
        }
    }

    /// A value and the comma that keeps it apart from its neighbour.
    private static func withComma(_ value: Range<Int>, in text: [UInt8]) -> Range<Int> {
        let comma = UInt8(ascii: ",")
        if value.upperBound < text.count, text[value.upperBound] == comma {
            return value.lowerBound..<value.upperBound + 1
        }
        if value.lowerBound > 0, text[value.lowerBound - 1] == comma { return value.lowerBound - 1..<value.upperBound }
        return value
    }
}
