/// Who may make one call, and what it costs; a row of the ``MethodTable``.
package struct MethodRule: Hashable, Sendable {
    /// What a call draws its cost from.
    package enum Budget: String, Hashable, Sendable, CaseIterable {
        /// Proving a node.
        case attestation
        /// One signature each.
        case signing
        /// What agents tell about themselves.
        case reporting
        /// What agents and strangers look at.
        case reading
        /// What admins search for.
        case querying
    }

    /// The full name, such as `grpc.health.v1.Health/Check`.
    package let method: String
    package let callers: Set<CallerClass>
    /// What an admin's role must allow; nil where no admin may call.
    package let permission: Permission?
    /// What is charged; nil for what is free.
    package let budget: Budget?
    /// Whether the outcome is written to the issuance record.
    package let issues: Bool
    /// Whether a second person must agree, where that is configured.
    package let needsTwo: Bool

    init(
        _ method: String, _ callers: Set<CallerClass>, _ permission: Permission? = nil, budget: Budget? = nil,
        issues: Bool = false, needsTwo: Bool = false
    ) {
        (self.method, self.callers, self.permission) = (method, callers, permission)
        (self.budget, self.issues, self.needsTwo) = (budget, issues, needsTwo)
    }
}
