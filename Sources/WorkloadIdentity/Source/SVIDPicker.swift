public import SPIFFE

/// Which of several identities a source stands for.
public struct SVIDPicker: Sendable, CustomStringConvertible {
    /// What it looks for, for people.
    public let description: String

    private let pick: @Sendable ([X509SVID]) -> X509SVID?

    private init(_ description: String, _ pick: @escaping @Sendable ([X509SVID]) -> X509SVID?) {
        (self.description, self.pick) = (description, pick)
    }

    /// The endpoint's default, which comes first (WLAPI-11).
    public static let first = SVIDPicker("the default identity") { $0.first }

    /// The one with a certain SPIFFE ID.
    ///
    /// - Parameter id: The ID.
    /// - Returns: A picker that finds this identity or none.
    public static func id(_ id: SPIFFEID) -> SVIDPicker {
        SVIDPicker("\(id)") { svids in svids.first { $0.id == id } }
    }

    /// The one an admin gave a certain hint.
    ///
    /// - Parameter hint: The hint, byte for byte.
    /// - Returns: A picker that finds this identity or none.
    public static func hint(_ hint: String) -> SVIDPicker {
        SVIDPicker("an identity with the hint '\(hint)'") { svids in
            svids.first { $0.hint.utf8.elementsEqual(hint.utf8) }
        }
    }

    /// One chosen by a rule of the caller's own.
    ///
    /// - Parameters:
    ///   - description: What it looks for, for error messages.
    ///   - pick: Chooses among all identities of the process, the default one first; nil for none of them.
    /// - Returns: A picker by that rule.
    public static func custom(
        _ description: String, _ pick: @escaping @Sendable ([X509SVID]) -> X509SVID?
    ) -> SVIDPicker { SVIDPicker(description, pick) }

    func callAsFunction(_ svids: [X509SVID]) throws(WorkloadAPIError) -> X509SVID {
        if let svid = pick(svids) { return svid }
        let held = svids.map { "\($0.id)" }.joined(separator: ", ")
        throw WorkloadAPIError(.noSuchIdentity, "the endpoint does not give \(description); it gives \(held)")
    }
}
