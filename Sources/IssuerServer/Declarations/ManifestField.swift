internal import Bootstrap
internal import Foundation
internal import IssuerDomain
internal import SPIFFE

/// What stands under one key of an entry, read as what it should be.
struct ManifestField {
    private let name: String
    private let node: DocumentNode

    init(_ member: DocumentNode.Member) { (name, node) = (member.name, member.node) }

    private init(_ name: String, _ node: DocumentNode) { (self.name, self.node) = (name, node) }

    /// An error about this field.
    func error(_ text: String) -> DocumentError { DocumentError(line: node.line, message: "'\(name)' \(text)") }

    /// A text; nil when there is none.
    func text() throws(DocumentError) -> String? {
        switch node.value {
        case .null: return nil
        case .scalar(let text, _): return text.isEmpty ? nil : text
        case .list, .members: throw error("is not a text")
        }
    }

    func flag() throws(DocumentError) -> Bool {
        switch node.value {
        case .null: return false
        case .scalar("true", isPlain: true): return true
        case .scalar("false", isPlain: true): return false
        case .scalar, .list, .members: throw error("is not true or false")
        }
    }

    func integer() throws(DocumentError) -> Int64? {
        guard let text = try text() else { return nil }
        guard let number = Int64(text), "\(number)" == text else { throw error("is not a whole number") }
        return number
    }

    /// Seconds, or a duration such as `15m`; nil for the default.
    func duration() throws(DocumentError) -> Duration? {
        guard let text = try text(), text != "0" else { return nil }
        if let seconds = Int64(text), seconds > 0 { return .seconds(seconds) }
        guard let duration = DurationText.parse(text) else { throw error("is not a duration such as 90s, 15m or 24h") }
        return duration
    }

    func instant() throws(DocumentError) -> Date? {
        guard let text = try text() else { return nil }
        guard let date = try? Date(text, strategy: .iso8601) else {
            throw error("is not an RFC 3339 instant such as 2030-01-02T03:04:05Z")
        }
        return date
    }

    func spiffeID() throws(DocumentError) -> SPIFFEID? {
        guard let text = try text() else { return nil }
        do throws(SPIFFEError) { return try SPIFFEID(text) } catch { throw self.error("'\(text)': \(error.message)") }
    }

    func texts() throws(DocumentError) -> [String] {
        var texts: [String] = []
        for element in try ManifestReader.list(node, name) {
            let field = ManifestField(name, element)
            guard let text = try field.text() else { throw field.error("holds an empty text") }
            texts.append(text)
        }
        return texts
    }

    func selectors() throws(DocumentError) -> [Selector] {
        var selectors: [Selector] = []
        for element in try ManifestReader.list(node, name) {
            let field = ManifestField(name, element)
            let text = try field.text() ?? ""
            do throws(SelectorError) { selectors.append(try Selector(parsing: text)) } catch {
                throw field.error("\(error)")
            }
        }
        return selectors
    }

    func groups() throws(DocumentError) -> [[Selector]] {
        var groups: [[Selector]] = []
        for element in try ManifestReader.list(node, name) {
            guard case .list = element.value else {
                throw ManifestField(name, element).error("is not a list of lists of selectors")
            }
            groups.append(Array(Set(try ManifestField(name, element).selectors())).sorted())
        }
        return groups
    }

    func trustDomains() throws(DocumentError) -> [TrustDomain] {
        var domains: [TrustDomain] = []
        for text in try texts() {
            do throws(SPIFFEError) { domains.append(try TrustDomain(text)) } catch {
                throw self.error("'\(text)': \(error.message)")
            }
        }
        return domains
    }

    func template() throws(DocumentError) -> IDTemplate? {
        guard let text = try text() else { return nil }
        do throws(IDTemplateError) { return try IDTemplate(parsing: text) } catch { throw self.error("\(error)") }
    }

    func choice<Value>(_ names: String, _ parse: (String) -> Value?) throws(DocumentError) -> Value? {
        guard let text = try text() else { return nil }
        guard let value = parse(text) else { throw error("is not one of \(names)") }
        return value
    }

    func labels() throws(DocumentError) -> [String: String] {
        switch node.value {
        case .null: return [:]
        case .scalar, .list: throw error("is not a mapping")
        case .members(let members):
            var labels: [String: String] = [:]
            for member in members { labels[member.name] = try ManifestField(member).text() ?? "" }
            return labels
        }
    }
}
