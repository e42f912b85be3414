/// A bug put between a target and the code under test, to show that the target would notice one.
///
/// `Tests/Fuzz/run` starts every target once with its flaw, and fails when the fuzzer does not find it. None of the
/// inputs it starts from is enough to find one; they must be changed.
struct Flaw {
    /// Text as a lenient reader takes it, which passes over most control characters.
    func text(_ input: [UInt8]) -> [UInt8] { input.filter { !(0x0E...0x1F).contains($0) } }

    /// DER as a lenient reader takes it, which passes over what follows the last sequence and does not begin another.
    func der(_ input: [UInt8]) -> [UInt8] {
        var rest = input[...]
        while rest.first == 0x30, let length = DERForest.lengthOfFirst(in: rest) { rest = rest.dropFirst(length) }
        return rest.first == 0x30 ? input : Array(input[..<rest.startIndex])
    }

    /// The name of a field as a lenient reader takes it, which knows no upper case.
    func name(_ name: [UInt8]) -> [UInt8] { name.map { (0x41...0x5A).contains($0) ? $0 | 0x20 : $0 } }

    /// HTTP/2 as a lenient reader takes it, which passes over what is no whole frame at the end.
    func frames(_ input: [UInt8]) -> [UInt8] {
        var end = 24
        while end + 9 <= input.count {
            let length = Int(input[end]) << 16 | Int(input[end + 1]) << 8 | Int(input[end + 2])
            guard length <= 16384, end + 9 + length <= input.count else { break }
            end += 9 + length
        }
        return Array(input.prefix(end))
    }

    /// A structure as a lenient reader takes it, which passes over zeros at its end.
    func unpadded(_ input: [UInt8]) -> [UInt8] {
        var rest = input[...]
        while rest.last == 0 { rest = rest.dropLast() }
        return Array(rest)
    }

    /// A netlink message as a lenient reader takes it, which does not look at its type.
    func message(_ input: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        guard input.count >= 6 else { return input }
        var lenient = input
        (lenient[lenient.startIndex + 4], lenient[lenient.startIndex + 5]) = (3, 0)
        return lenient
    }
}
