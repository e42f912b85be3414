internal import Foundation
internal import SPIFFE

/// JSON texts, compared with Foundation's reader, which keeps one of two equal names where ours refuses both.
enum JSONTarget {
    static func judge(_ input: [UInt8], flaw: Flaw?) {
        let read = flaw?.text(input) ?? input
        guard let value = try? JSONValue(parsing: read) else { return }
        let text = value.compactText
        claim((try? JSONValue(parsing: text.utf8))?.compactText.utf8.elementsEqual(text.utf8) == true, "compact text")
        claim((try? JSONValue(parsing: text.utf8)) == value, "a value is read as it was written")
        claim((try? JSONValue(parsing: value.prettyText.utf8)) == value, "a value is read as it was written for people")
        claim((try? JSONValue(parsing: read, limit: read.count - 1)) == nil, "a longer text than the limit is refused")
        claim(
            countOfColons(in: read) == countOfMembers(in: value), "no member is lost, as one of two equal ones would be"
        )
        claim(depth(of: value) <= JSONValue.maximumDepth + 1, "nothing is nested too deeply")

        // Foundation takes U+FEFF for a mark of the encoding wherever it begins to read a piece of a string.
        guard input.firstRange(of: "\u{FEFF}".utf8) == nil else { return }
        guard let foundation = try? JSONSerialization.jsonObject(with: Data(input), options: .fragmentsAllowed) else {
            claim(holdsExtremeNumber(value), "what is accepted is JSON to another reader, too")
            return
        }
        claim(isSame(value, foundation), "another reader reads the same")
    }

    /// Colons outside of strings: one for each member that was written.
    private static func countOfColons(in text: [UInt8]) -> Int {
        var (count, isInString, isEscaped) = (0, false, false)
        for byte in text {
            switch byte {
            case _ where isEscaped: isEscaped = false
            case UInt8(ascii: "\\"): isEscaped = true
            case UInt8(ascii: "\""): isInString.toggle()
            case UInt8(ascii: ":") where !isInString: count += 1
            default: break
            }
        }
        return count
    }

    private static func countOfMembers(in value: JSONValue) -> Int {
        switch value {
        case .array(let elements): elements.reduce(0) { $0 + countOfMembers(in: $1) }
        case .object(let object): object.reduce(0) { $0 + 1 + countOfMembers(in: $1.value) }
        case .null, .bool, .number, .string: 0
        }
    }

    private static func depth(of value: JSONValue) -> Int {
        switch value {
        case .array(let elements): 1 + (elements.map(depth).max() ?? 0)
        case .object(let object): 1 + (object.map { depth(of: $0.value) }.max() ?? 0)
        case .null, .bool, .number, .string: 0
        }
    }

    /// Foundation refuses numbers that no double can be near.
    private static func holdsExtremeNumber(_ value: JSONValue) -> Bool {
        switch value {
        case .number: value.double.map { !$0.isFinite || !$0.isNormal } ?? true
        case .array(let elements): elements.contains(where: holdsExtremeNumber)
        case .object(let object): object.contains { holdsExtremeNumber($0.value) }
        case .null, .bool, .string: false
        }
    }

    private static func isSame(_ ours: JSONValue, _ theirs: Any) -> Bool {
        switch ours {
        case .null: return theirs is NSNull
        case .bool(let value): return theirs as? Bool == value
        case .string(let text): return (theirs as? String)?.utf8.elementsEqual(text.utf8) == true
        case .number:
            guard let one = ours.double, let other = (theirs as? NSNumber)?.doubleValue else { return false }
            // Foundation takes some numbers by way of decimals.
            return one == other || abs(one - other) <= abs(one) * 1e-12 || !one.isFinite
        case .array(let elements):
            guard let others = theirs as? [Any], others.count == elements.count else { return false }
            return zip(elements, others).allSatisfy(isSame)
        case .object(let object):
            guard let others = theirs as? [String: Any], others.count == object.count else { return false }
            return object.allSatisfy { member in others[member.name].map { isSame(member.value, $0) } ?? false }
        }
    }
}
