internal import Foundation
internal import GRDB
internal import IssuerDomain
internal import SPIFFE

/// Reads columns back into types that cannot be wrong; what does not fit means that the file is damaged.
struct Columns {
    private let row: Row
    private let table: String

    init(_ row: Row, of table: String) { (self.row, self.table) = (row, table) }

    func text(_ name: String) throws(StoreError) -> String { try value(name) }

    func optionalText(_ name: String) throws(StoreError) -> String? { try optional(name) }

    func flag(_ name: String) throws(StoreError) -> Bool { try integer(name) != 0 }

    func integer(_ name: String) throws(StoreError) -> Int64 { try value(name) }

    func optionalInteger(_ name: String) throws(StoreError) -> Int64? { try optional(name) }

    func bytes(_ name: String) throws(StoreError) -> [UInt8] {
        let data: Data = try value(name)
        return Array(data)
    }

    func optionalBytes(_ name: String) throws(StoreError) -> [UInt8]? {
        let data: Data? = try optional(name)
        return data.map { Array($0) }
    }

    func date(_ name: String) throws(StoreError) -> Date {
        Date(timeIntervalSince1970: TimeInterval(try integer(name)))
    }

    func optionalDate(_ name: String) throws(StoreError) -> Date? {
        let seconds: Int64? = try optional(name)
        return seconds.map { Date(timeIntervalSince1970: TimeInterval($0)) }
    }

    func optionalDuration(_ name: String) throws(StoreError) -> Duration? {
        let seconds: Int64? = try optional(name)
        return seconds.map { .seconds($0) }
    }

    func spiffeID(_ name: String) throws(StoreError) -> SPIFFEID {
        do { return try SPIFFEID(try text(name)) } catch { throw damaged(name) }
    }

    func assurance(_ name: String) throws(StoreError) -> AssuranceLevel {
        guard let number = Int(exactly: try integer(name)), let level = AssuranceLevel(rawValue: number) else {
            throw damaged(name)
        }
        return level
    }

    func list<Element>(_ name: String, _ parse: (String) throws -> Element) throws(StoreError) -> [Element] {
        do {
            guard let elements = try JSONValue(parsing: Array(try text(name).utf8)).array else { throw damaged(name) }
            return try elements.map {
                guard let text = $0.string else { throw damaged(name) }
                return try parse(text)
            }
        } catch { throw damaged(name) }
    }

    func raw<Value: RawRepresentable>(_ name: String) throws(StoreError) -> Value where Value.RawValue == String {
        guard let value = Value(rawValue: try text(name)) else { throw damaged(name) }
        return value
    }

    private func value<Value: DatabaseValueConvertible>(_ name: String) throws(StoreError) -> Value {
        guard let value: Value = try optional(name) else { throw damaged(name) }
        return value
    }

    private func optional<Value: DatabaseValueConvertible>(_ name: String) throws(StoreError) -> Value? {
        guard let stored: DatabaseValue = row[name] else { throw damaged(name) }
        if stored.isNull { return nil }
        guard let value = Value.fromDatabaseValue(stored) else { throw damaged(name) }
        return value
    }

    func damaged(_ name: String) -> StoreError { .corrupt(detail: "\(table).\(name) cannot be read back") }
}

/// Writes lists as JSON arrays of strings.
enum ListColumn {
    static func text(_ elements: some Sequence<some CustomStringConvertible>) -> String {
        JSONValue.array(elements.map { .string("\($0)") }).compactText
    }
}
