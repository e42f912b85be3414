/// What attestation reads from `/proc/PID/status`.
///
/// A line that is missing, doubled or malformed leaves its field nil. The first line holds a name of the process's own
/// choice, in which the kernel escapes newlines.
package struct ProcessStatus: Hashable, Sendable {
    /// One kind of id, four times.
    package struct IDs: Hashable, Sendable {
        package let real, effective, saved, fileSystem: UInt32

        package init(real: UInt32, effective: UInt32, saved: UInt32, fileSystem: UInt32) {
            (self.real, self.effective, self.saved, self.fileSystem) = (real, effective, saved, fileSystem)
        }
    }

    /// Which system call filter is in force.
    package enum Seccomp: UInt64, Hashable, Sendable {
        case none, strict, filter
    }

    /// Bit sets of capabilities, by the kernel's numbers.
    package struct Capabilities: Hashable, Sendable {
        package let inheritable, permitted, effective, ambient: UInt64

        package init(inheritable: UInt64, permitted: UInt64, effective: UInt64, ambient: UInt64) {
            (self.inheritable, self.permitted, self.effective, self.ambient) = (
                inheritable, permitted, effective, ambient
            )
        }

        /// Whether none can be used or got back by the process itself.
        package var isEmpty: Bool { permitted == 0 && effective == 0 && ambient == 0 }
    }

    package private(set) var users: IDs?
    package private(set) var groups: IDs?
    package private(set) var supplementaryGroups: [UInt32]?
    /// Who traces it; 0 for nobody.
    package private(set) var tracer: Int32?
    package private(set) var parent: Int32?
    package private(set) var noNewPrivileges: Bool?
    package private(set) var seccomp: Seccomp?
    package private(set) var capabilities: Capabilities?

    /// Reads the lines, in one pass.
    ///
    /// - Parameter bytes: The file, whole.
    package init(parsing bytes: ArraySlice<UInt8>) {
        let lines = Lines(bytes)
        users = lines.ids(Key.users)
        groups = lines.ids(Key.groups)
        supplementaryGroups = lines.values[Key.supplementaryGroups].flatMap { Self.numbers($0) }
        tracer = lines.number(Key.tracer).flatMap { Int32(exactly: $0) }
        parent = lines.number(Key.parent).flatMap { Int32(exactly: $0) }
        noNewPrivileges = lines.number(Key.noNewPrivileges).flatMap { $0 <= 1 ? $0 == 1 : nil }
        seccomp = lines.number(Key.seccomp).flatMap(Seccomp.init(rawValue:))
        if let inheritable = lines.bits(Key.inheritable), let permitted = lines.bits(Key.permitted),
            let effective = lines.bits(Key.effective), let ambient = lines.bits(Key.ambient)
        {
            capabilities = Capabilities(
                inheritable: inheritable, permitted: permitted, effective: effective, ambient: ambient)
        }
    }

    /// Decimal numbers with tabs or spaces between them; nil for anything else.
    fileprivate static func numbers(_ value: ArraySlice<UInt8>) -> [UInt32]? {
        var scanner = ByteScanner(value)
        var numbers: [UInt32] = []
        while true {
            while let byte = scanner.next, byte == .tab || byte == .space { _ = scanner.take() }
            guard !scanner.isAtEnd else { return numbers }
            guard let number = scanner.decimal().flatMap({ UInt32(exactly: $0) }) else { return nil }
            if let byte = scanner.next, byte != .tab, byte != .space { return nil }
            numbers.append(number)
        }
    }
}

/// The lines that are read, as indices.
private enum Key {
    static let users = 0, groups = 1, supplementaryGroups = 2, tracer = 3, parent = 4, noNewPrivileges = 5
    static let seccomp = 6, inheritable = 7, permitted = 8, effective = 9, ambient = 10
    static let count = 11

    /// What every name's number begins with, so that zero bytes before a name count.
    static let nameStart: UInt128 = 1

    /// Names as numbers, so that a line is recognised by one comparison for each.
    private static let names: [UInt128] = [
        "Uid", "Gid", "Groups", "TracerPid", "PPid", "NoNewPrivs", "Seccomp", "CapInh", "CapPrm", "CapEff", "CapAmb",
    ].map { $0.utf8.reduce(nameStart) { $0 << 8 | UInt128($1) } }

    static func index(of name: UInt128) -> Int? { names.firstIndex(of: name) }
}

/// The wanted lines of the text; nil for one that is missing or doubled.
private struct Lines {
    private(set) var values = [ArraySlice<UInt8>?](repeating: nil, count: Key.count)

    init(_ bytes: ArraySlice<UInt8>) {
        var seen = [Bool](repeating: false, count: Key.count)
        var scanner = ByteScanner(bytes)
        while !scanner.isAtEnd {
            var name = Key.nameStart
            var length = 0
            while let byte = scanner.next, byte != .colon, byte != .newline {
                name = name << 8 | UInt128(byte)
                length += 1
                _ = scanner.take()
            }
            let isField = scanner.take(.colon)
            let value = scanner.through(.newline)
            // Sixteen bytes fill the number; a longer name could end like one that is wanted.
            guard isField, length <= 15, let index = Key.index(of: name) else { continue }
            values[index] = seen[index] ? nil : value
            seen[index] = true
        }
    }

    func ids(_ key: Int) -> ProcessStatus.IDs? {
        guard let numbers = values[key].flatMap({ ProcessStatus.numbers($0) }), numbers.count == 4 else { return nil }
        return .init(real: numbers[0], effective: numbers[1], saved: numbers[2], fileSystem: numbers[3])
    }

    func number(_ key: Int) -> UInt64? {
        guard let numbers = values[key].flatMap({ ProcessStatus.numbers($0) }), numbers.count == 1 else { return nil }
        return UInt64(numbers[0])
    }

    func bits(_ key: Int) -> UInt64? {
        guard let value = values[key] else { return nil }
        var scanner = ByteScanner(value)
        scanner.skip(.tab)
        guard let bits = scanner.hexadecimal(), scanner.isAtEnd else { return nil }
        return bits
    }
}
