package import Foundation

/// Which records somebody asks to see; what is not said does not narrow.
package struct IssuanceQuery: Hashable, Sendable {
    /// The most records in one answer.
    package static let maximumPage = 1000

    /// From this instant on.
    package var since: Date?
    /// Before this instant.
    package var until: Date?
    package var spiffeID: String?
    /// Who asked.
    package var principal: String?
    package var outcome: IssuanceRecord.Outcome?
    /// A serial number or a token's `jti`.
    package var credential: String?
    /// Only those before this number: the newest come first.
    package var before: Int64?
    /// 1 to ``maximumPage``.
    package var limit: Int

    package init(limit: Int = maximumPage) { self.limit = min(max(1, limit), Self.maximumPage) }

    /// Whether a record is among those asked for, numbers and limit aside.
    package func admits(_ record: IssuanceRecord) -> Bool {
        if let since, record.call.time < since { return false }
        if let until, record.call.time >= until { return false }
        if let spiffeID, record.fact.spiffeID.map({ "\($0)" }) != spiffeID { return false }
        if let principal, record.call.principal != principal { return false }
        if let outcome, record.fact.outcome != outcome { return false }
        if let credential, record.fact.serial != credential, record.fact.tokenID != credential { return false }
        return true
    }
}
