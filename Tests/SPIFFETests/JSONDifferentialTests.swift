import Foundation
import SPIFFE
import TestSupport
import Testing

/// Where this parser and Foundation's differ, and why that is right.
///
/// Ours refuses more: a member named twice, nesting beyond 32, a number beyond 64 characters. Foundation's also reads
/// UTF-16 and UTF-32, and takes a byte order mark; ours reads UTF-8 alone. Ours must never accept what Foundation's
/// refuses.
@Suite("JSON reading, beside Foundation's")
struct JSONDifferentialTests {
    @Test("reads every generated document as Foundation does", arguments: UInt64(0)..<40)
    func sound(_ seed: UInt64) throws {
        var generator = DocumentGenerator(seed: seed)
        for _ in 0..<50 {
            let text = generator.document()
            let ours = try JSONValue(parsing: text.utf8)
            #expect(ours.isSame(as: try Self.foundation(Array(text.utf8))), "\(text)")
            #expect(try JSONValue(parsing: ours.compactText.utf8) == ours)
        }
    }

    @Test("accepts no damaged document that Foundation refuses", arguments: UInt64(0)..<40)
    func damaged(_ seed: UInt64) throws {
        var generator = DocumentGenerator(seed: seed)
        var (accepted, refused) = (0, 0)
        for _ in 0..<250 {
            let bytes = generator.damagedDocument()
            guard let ours = try? JSONValue(parsing: bytes) else {
                refused += 1
                continue
            }
            accepted += 1
            let text = String(decoding: bytes, as: UTF8.self)
            let theirs = try? Self.foundation(bytes)
            #expect(theirs.map { ours.isSame(as: $0) } == true, "\(text)")
        }
        #expect(accepted > 10)
        #expect(refused > 10)
    }

    @Test(
        "refuses what only Foundation accepts",
        arguments: [
            Array(#"{"a":1,"a":2}"#.utf8), Array(#"{"a":1,"\u0061":2}"#.utf8), Array("\u{FEFF}[]".utf8),
            Array((String(repeating: "[", count: 40) + String(repeating: "]", count: 40)).utf8),
            Array(("0." + String(repeating: "1", count: 70)).utf8), [0x5B, 0x00, 0x5D, 0x00],
        ])
    func stricter(_ bytes: [UInt8]) {
        #expect(throws: Never.self) { try Self.foundation(bytes) }
        let error = #expect(throws: SPIFFEError.self) { try JSONValue(parsing: bytes) }
        #expect(error?.code == .invalidJSON)
    }

    @Test("agrees that no such number is held", arguments: ["1e309", "-1e309", "1e999999999", "[1E+400]"])
    func outOfRange(_ text: String) {
        #expect(throws: (any Error).self) { try Self.foundation(Array(text.utf8)) }
        let error = #expect(throws: SPIFFEError.self) { try JSONValue(parsing: text.utf8) }
        #expect(error?.code == .invalidJSON)
    }

    private static func foundation(_ bytes: [UInt8]) throws -> Any {
        try JSONSerialization.jsonObject(with: Data(bytes), options: .fragmentsAllowed)
    }
}

extension JSONValue {
    /// Whether Foundation's reading of a text says the same.
    fileprivate func isSame(as other: Any) -> Bool {
        switch self {
        case .null: return other is NSNull
        case .bool(let value): return (other as? Bool) == value
        case .number:
            guard let value = double, let other = other as? NSNumber else { return false }
            // Foundation goes by way of Decimal, and loses the last bits there.
            return abs(value - other.doubleValue) <= abs(value) * 1e-14
        case .string(let text): return (other as? String).map { $0.utf8.elementsEqual(text.utf8) } == true
        case .array(let elements):
            guard let others = other as? [Any], others.count == elements.count else { return false }
            return zip(elements, others).allSatisfy { $0.isSame(as: $1) }
        case .object(let object):
            guard let others = other as? [String: Any], others.count == object.count else { return false }
            return object.allSatisfy { name, value in others[name].map { value.isSame(as: $0) } == true }
        }
    }
}

/// Makes JSON texts by the grammar, and damages them.
private struct DocumentGenerator {
    private var entropy: SeededEntropy

    init(seed: UInt64) { entropy = SeededEntropy(seed) }

    mutating func document() -> String { value(depth: 0) }

    /// A document with some bytes changed, dropped, doubled or put in.
    mutating func damagedDocument() -> [UInt8] {
        let noise =
            Array(#"{}[]:,"\/.-+eE0123456789truefalsn "#.utf8) + [0x00, 0x0A, 0x1F, 0x7F, 0x80, 0xC3, 0xED, 0xFF]
        var bytes = Array(document().utf8)
        for _ in 0...below(2) where !bytes.isEmpty {
            let position = below(bytes.count)
            switch below(4) {
            case 0: bytes[position] = pick(noise)
            case 1: bytes.remove(at: position)
            case 2: bytes.insert(bytes[position], at: position)
            default: bytes.insert(pick(noise), at: position)
            }
        }
        return bytes
    }

    private mutating func value(depth: Int) -> String {
        let space = pick(["", "", "", " ", "\n", "\t\r "])
        switch below(depth > 4 ? 5 : 8) {
        case 0: return space + pick(["null", "true", "false"])
        case 1, 2: return space + number()
        case 3, 4: return space + string()
        case 5:
            let elements = (0..<below(5)).map { _ in value(depth: depth + 1) }
            return space + "[" + elements.joined(separator: ",") + space + "]"
        default:
            // The counter keeps names apart; more than sixteen members are looked up in another way.
            let members = (0..<below(below(8) == 0 ? 40 : 5)).map { number in
                String(string().dropLast()) + "\(number)\"" + space + ":" + value(depth: depth + 1)
            }
            return space + "{" + members.joined(separator: ",") + space + "}"
        }
    }

    private mutating func number() -> String {
        var text = pick(["", "-"]) + pick(["0", "\(below(10))", "\(1 + below(1 << 40))"])
        if text.hasSuffix("00") { text = "1" }
        if below(3) == 0 { text += ".\(below(1000))" }
        if below(4) == 0 { text += pick(["e", "E"]) + pick(["", "+", "-"]) + "\(below(200))" }
        return text
    }

    private mutating func string() -> String {
        let pieces = [
            "a", "kid", "sub", " ", "/", "\u{E9}", "e\u{301}", "\u{1F511}", "\u{7F}", "\\n", "\\\"", "\\\\", "\\/",
            "\\u0041",
            "\\u00e9", "\\ud83d\\udd11", "\\u0000", "\\uFFFD", "\u{FFFF}",
        ]
        return "\"" + (0..<below(6)).map { _ in pick(pieces) }.joined() + "\""
    }

    private mutating func below(_ bound: Int) -> Int { bound == 0 ? 0 : Int.random(in: 0..<bound, using: &entropy) }

    private mutating func pick<Element>(_ elements: [Element]) -> Element { elements[below(elements.count)] }
}
