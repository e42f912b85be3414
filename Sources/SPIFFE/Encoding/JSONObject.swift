/// The members of a JSON object: each name once, in the order written.
///
/// Two spellings of one name that Unicode calls equivalent are one name, so that no reader can take them for two; who
/// asks for a member must name it byte for byte.
package struct JSONObject: Sendable, Sequence {
    private struct Member: Hashable, Sendable {
        var name: String
        var value: JSONValue
    }

    /// The most members searched one by one; a hostile object with more must not take time by the square.
    private static let searchedInTurn = 16

    private var members: [Member] = []

    /// Where each name stands; kept only for an object with more than ``searchedInTurn`` members.
    private var positions: [String: Int] = [:]

    /// Creates an object; a later value for the same name replaces the earlier one.
    package init(_ members: [(String, JSONValue)] = []) {
        for (name, value) in members { self[name] = value }
    }

    /// The value of a member; setting nil removes it.
    package subscript(name: String) -> JSONValue? {
        get {
            guard let position = position(of: name), members[position].name.utf8.elementsEqual(name.utf8) else {
                return nil
            }
            return members[position].value
        }
        set {
            let position = position(of: name)
            if let newValue {
                if let position {
                    members[position] = Member(name: name, value: newValue)
                } else {
                    append(name, newValue)
                }
            } else if let position {
                members.remove(at: position)
                indexMembers()
            }
        }
    }

    /// Adds a member unless one of that name is there.
    ///
    /// - Parameters:
    ///   - name: Its name.
    ///   - value: Its value.
    /// - Returns: Whether it was added.
    mutating func add(_ name: String, _ value: JSONValue) -> Bool {
        guard position(of: name) == nil else { return false }
        append(name, value)
        return true
    }

    /// How many members there are.
    package var count: Int { members.count }

    package func makeIterator() -> AnyIterator<(name: String, value: JSONValue)> {
        var members = members.makeIterator()
        return AnyIterator { members.next().map { ($0.name, $0.value) } }
    }

    private func position(of name: String) -> Int? {
        guard members.count > Self.searchedInTurn else { return members.firstIndex { $0.name == name } }
        return positions[name]
    }

    private mutating func append(_ name: String, _ value: JSONValue) {
        if members.isEmpty { members.reserveCapacity(8) }
        members.append(Member(name: name, value: value))
        if members.count == Self.searchedInTurn + 1 {
            indexMembers()
        } else if members.count > Self.searchedInTurn {
            positions[name] = members.count - 1
        }
    }

    private mutating func indexMembers() {
        positions = [:]
        guard members.count > Self.searchedInTurn else { return }
        for (position, member) in members.enumerated() { positions[member.name] = position }
    }
}

extension JSONObject: Hashable {
    // The positions follow from the members.
    package static func == (one: JSONObject, other: JSONObject) -> Bool { one.members == other.members }

    package func hash(into hasher: inout Hasher) { hasher.combine(members) }
}
