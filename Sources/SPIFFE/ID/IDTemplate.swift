/// The end of a path, with places that proven facts fill in, such as `{unix:user}` or `users/{unix:user}`.
///
/// It stands below the ID of its entry, which is the prefix that it can never leave: whatever fills a place is one
/// part of one segment.
package struct IDTemplate: Hashable, Sendable, CustomStringConvertible {
    /// One segment: a place for a fact, or none, between two texts.
    private struct Segment: Hashable, Sendable {
        var lead: String
        var family: String?
        var trail: String
    }

    package static let maximumLength = 512
    package static let maximumSegments = 8
    /// The most bytes that fill a place.
    package static let maximumValueLength = 128

    /// Families with one value for each process, which can be a part of a path.
    package static let families = [
        "unix:uid", "unix:user", "unix:gid", "unix:group", "unix:sha256", "exec:sha256", "exec:script:sha256",
        "systemd:id", "systemd:user_unit", "container:name",
    ]

    /// The template as it is written.
    package let description: String
    private let segments: [Segment]

    /// Parses a template.
    ///
    /// - Parameter text: Segments with slashes between them, without one at either end.
    /// - Throws: The first rule broken.
    package init(parsing text: String) throws(IDTemplateError) {
        guard !text.isEmpty else { throw .empty }
        guard text.utf8.count <= Self.maximumLength else { throw .tooLong }
        var segments: [Segment] = []
        for part in text.split(separator: "/", omittingEmptySubsequences: false) {
            segments.append(try Self.segment(part))
        }
        guard segments.count <= Self.maximumSegments else { throw .tooLong }
        guard segments.contains(where: { $0.family != nil }) else { throw .noPlace }
        (description, self.segments) = (text, segments)
    }

    /// The families whose values it needs.
    package var neededFamilies: Set<String> { Set(segments.compactMap(\.family)) }

    /// A selector for each family that it needs, of which the value says nothing.
    package var named: [Selector] {
        neededFamilies.sorted().compactMap { try? Selector(parsing: "\($0):any") }
    }

    /// Fills the places.
    ///
    /// - Parameters:
    ///   - prefix: The entry's own ID.
    ///   - found: Everything found on the process.
    /// - Returns: nil when a fact is not known, has several values, or is not fit for a path.
    package func identity(under prefix: SPIFFEID, found: Set<Selector>) -> SPIFFEID? {
        var parts: [String] = []
        for segment in segments {
            guard let family = segment.family else {
                parts.append(segment.lead)
                continue
            }
            let values = found.compactMap { BareInterpreter.value(of: $0, after: family) }
            guard values.count == 1, let value = values.first, Self.canFill(value) else { return nil }
            parts.append(segment.lead + value + segment.trail)
        }
        let path = "\(prefix.path)/\(parts.joined(separator: "/"))"
        return try? SPIFFEID(trustDomain: prefix.trustDomain, path: path)
    }

    /// Whether an ID is what this template can become below a prefix, whatever the facts.
    package func admits(_ id: SPIFFEID, under prefix: SPIFFEID) -> Bool {
        let lead = "\(prefix.path)/"
        guard id.trustDomain == prefix.trustDomain, id.path.utf8.starts(with: lead.utf8) else { return false }
        let rest = String(decoding: id.path.utf8.dropFirst(lead.utf8.count), as: UTF8.self)
        let parts = rest.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == segments.count else { return false }
        return zip(parts, segments).allSatisfy { Self.admits(String($0), $1) }
    }

    private static func admits(_ part: String, _ segment: Segment) -> Bool {
        guard segment.family != nil else { return part == segment.lead }
        let (lead, trail) = (segment.lead.utf8.count, segment.trail.utf8.count)
        guard part.utf8.count > lead + trail, part.hasPrefix(segment.lead), part.hasSuffix(segment.trail) else {
            return false
        }
        return canFill(String(decoding: part.utf8.dropFirst(lead).dropLast(trail), as: UTF8.self))
    }

    /// Whether a value may stand in a segment: never empty, never only dots, nothing that would end the segment.
    private static func canFill(_ value: String) -> Bool {
        (1...maximumValueLength).contains(value.utf8.count) && value.utf8.allSatisfy(isPathByte)
            && !value.utf8.allSatisfy { $0 == UInt8(ascii: ".") }
    }

    private static func segment(_ text: Substring) throws(IDTemplateError) -> Segment {
        guard let open = text.firstIndex(of: "{") else {
            guard !text.isEmpty, text.utf8.allSatisfy(isPathByte), text != ".", text != ".." else {
                throw .badSegment(String(text))
            }
            return Segment(lead: String(text), family: nil, trail: "")
        }
        guard let close = text[open...].firstIndex(of: "}") else { throw .badSegment(String(text)) }
        let family = String(text[text.index(after: open)..<close])
        let (lead, trail) = (text[..<open], text[text.index(after: close)...])
        guard lead.utf8.allSatisfy(isPathByte), trail.utf8.allSatisfy(isPathByte) else {
            throw .badSegment(String(text))
        }
        guard families.contains(family) else { throw .unknownFamily(family) }
        return Segment(lead: String(lead), family: family, trail: String(trail))
    }

    private static func isPathByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "_"):
            true
        default: false
        }
    }
}

/// Why a template was refused.
package enum IDTemplateError: Error, Hashable {
    case empty
    case tooLong
    case noPlace
    case badSegment(String)
    case unknownFamily(String)
}

extension IDTemplateError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .empty: "ID template is empty"
        case .tooLong:
            "ID template has more than \(IDTemplate.maximumLength) bytes or \(IDTemplate.maximumSegments) segments"
        case .noPlace: "ID template has no place for a fact, such as {unix:user}"
        case .badSegment(let text):
            """
            '\(text)' is no segment of an ID template: letters, digits, dots, dashes and underscores, and at most one \
            {family}
            """
        case .unknownFamily(let family):
            "no single value can stand for '{\(family)}'; use one of \(IDTemplate.families.joined(separator: ", "))"
        }
    }
}
