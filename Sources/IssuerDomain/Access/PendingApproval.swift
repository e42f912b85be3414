package import Foundation

/// A call that waits for a second person.
package struct PendingApproval: Hashable, Sendable, Identifiable {
    package let id: String
    package let method: String
    /// SHA-256 of the request, so that what was agreed to is what is done.
    package let requestDigest: [UInt8]
    /// The request as a person reads it.
    package let summary: String
    package let requester: Principal.Name
    package let requestedAt: Date
    package let expiresAt: Date
    /// Who agreed; nil as long as nobody has.
    package var approver: Principal.Name?

    package init(
        id: String, method: String, requestDigest: [UInt8], summary: String, requester: Principal.Name,
        requestedAt: Date, expiresAt: Date, approver: Principal.Name? = nil
    ) {
        (self.id, self.method, self.requestDigest, self.summary) = (id, method, requestDigest, summary)
        (self.requester, self.requestedAt, self.expiresAt) = (requester, requestedAt, expiresAt)
        self.approver = approver
    }
}

extension Principal {
    /// A principal as it is kept: what ``Principal/description`` says.
    package typealias Name = String
}
