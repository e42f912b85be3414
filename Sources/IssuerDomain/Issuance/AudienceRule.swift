internal import SPIFFE

/// What an audience of a JWT-SVID may be (JWT-07).
package enum AudienceRule {
    package static let maximumCount = 32
    package static let maximumBytes = 1024

    /// Judges an audience list.
    ///
    /// - Returns: The values in the order given, without repeats.
    /// - Throws: `badAudience`.
    package static func check(_ audience: [String]) throws(IssuanceError) -> [String] {
        guard !audience.isEmpty else { throw .badAudience(detail: "at least one is required") }
        guard audience.count <= maximumCount else { throw .badAudience(detail: "at most \(maximumCount) are allowed") }
        var seen: Set<ExactText> = []
        for value in audience {
            guard !value.isEmpty else { throw .badAudience(detail: "an empty value is not allowed") }
            guard value.utf8.count <= maximumBytes else {
                throw .badAudience(detail: "a value is longer than \(maximumBytes) bytes")
            }
            seen.insert(ExactText(value))
        }
        return audience.filter { seen.remove(ExactText($0)) != nil }
    }
}
