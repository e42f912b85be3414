internal import Foundation
internal import GRDB
internal import IssuerDomain
internal import Platform
internal import SPIFFE

extension Columns {
    /// The details of an entry.
    func details() throws(StoreError) -> EntryDetails {
        var details = EntryDetails()
        details.description = try text("description")
        details.owner = try text("owner")
        details.purpose = try text("purpose")
        details.labels = try labels()
        details.entryClass = try optionalRaw("class")
        details.notBefore = try optionalDate("not_before")
        details.isDisabled = try flag("is_disabled")
        details.audiences = try list("audiences") { $0 }
        details.keyType = try optionalRaw("key_type")
        details.hasInstanceKeys = try flag("has_instance_keys")
        if let text = try optionalText("id_template") {
            do throws(IDTemplateError) { details.template = try IDTemplate(parsing: text) } catch {
                throw .corrupt(detail: "entries.id_template cannot be read back")
            }
        }
        details.rules = SelectorRules(
            anyOf: try groups(), noneOf: try list("none_of") { try Selector(parsing: $0) },
            digestSets: try list("digest_sets") { $0 })
        return details
    }

    private func optionalRaw<Value: RawRepresentable>(
        _ name: String
    ) throws(StoreError) -> Value? where Value.RawValue == String {
        guard let text = try optionalText(name) else { return nil }
        guard let value = Value(rawValue: text) else { throw .corrupt(detail: "entries.\(name) cannot be read back") }
        return value
    }

    private func labels() throws(StoreError) -> [String: String] {
        guard let members = (try? JSONValue(parsing: Array(try text("labels").utf8)))?.object else {
            throw .corrupt(detail: "entries.labels cannot be read back")
        }
        var labels: [String: String] = [:]
        for (name, value) in members {
            guard let value = value.string else { throw .corrupt(detail: "entries.labels cannot be read back") }
            labels[name] = value
        }
        return labels
    }

    private func groups() throws(StoreError) -> [[Selector]] {
        do {
            guard let groups = try JSONValue(parsing: Array(try text("any_of").utf8)).array else {
                throw StoreError.corrupt(detail: "entries.any_of cannot be read back")
            }
            return try groups.map { group in
                try (group.array ?? []).map { try Selector(parsing: $0.string ?? "") }
            }
        } catch { throw .corrupt(detail: "entries.any_of cannot be read back") }
    }
}

extension EntryDetails {
    /// Labels as one JSON object, in a fixed order.
    var labelsColumn: String {
        JSONValue.object(JSONObject(labels.sorted { $0.key < $1.key }.map { ($0.key, .string($0.value)) })).compactText
    }

    /// Groups as a JSON array of arrays.
    var anyOfColumn: String {
        JSONValue.array(rules.anyOf.map { .array($0.map { .string("\($0)") }) }).compactText
    }
}
