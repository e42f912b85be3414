package import Foundation
internal import Platform
package import SPIFFE

/// What an issuer decided about one credential: who got what, by which rules, or why not.
package struct IssuanceRecord: Hashable, Sendable {
    package enum Outcome: String, Hashable, Sendable, CaseIterable {
        case issued
        case denied
    }

    /// What was asked, and of whom: the same for everything that one call brings about.
    package struct Call: Hashable, Sendable {
        /// To the millisecond.
        package let time: Date
        package let requestID: String
        package let callerClass: CallerClass
        package let principal: String
        package let address: String
        package let method: String

        package init(
            time: Date, requestID: String, callerClass: CallerClass, principal: String, address: String, method: String
        ) {
            self.time = Date(unixMilliseconds: time.unixMilliseconds)
            (self.requestID, self.callerClass, self.principal) = (requestID, callerClass, principal)
            (self.address, self.method) = (address, method)
        }
    }

    /// Counted by the store; 0 before it is kept.
    package var number: Int64 = 0
    package let call: Call
    package let fact: IssuanceFact

    package init(number: Int64 = 0, call: Call, fact: IssuanceFact) {
        (self.number, self.call, self.fact) = (number, call, fact)
    }
}

/// What was decided about one credential; what is not known is left out.
package struct IssuanceFact: Hashable, Sendable {
    package var outcome: IssuanceRecord.Outcome
    package var entryID: String?
    package var entryRevision: Int64?
    package var spiffeID: SPIFFEID?
    /// Of a certificate, lower-case hex.
    package var serial: String?
    /// Of a token.
    package var tokenID: String?
    package var audience: [String] = []
    package var expiresAt: Date?
    /// The rule that set the end.
    package var limit: LifetimeLimit?
    package var lifetime: GrantedLifetime?
    /// Why not.
    package var reason: String?
    /// What was asked for, as far as the fields above do not say it.
    package var asked: String?
    /// Set where one record stands for many refusals; then ``reason`` is that of the last.
    package var repetition: Repetition?

    /// How many refusals one record stands for.
    package struct Repetition: Hashable, Sendable {
        package let count: Int64
        /// When the first was, to the millisecond; the time of the record is that of the last.
        package let first: Date

        package init(count: Int64, first: Date) {
            self.count = count
            self.first = Date(unixMilliseconds: first.unixMilliseconds)
        }
    }

    /// The longest text kept of anything that a caller chose, in bytes.
    package static let maximumText = 512

    private init(_ outcome: IssuanceRecord.Outcome) { self.outcome = outcome }

    /// A credential was signed.
    package static func issued(
        _ id: SPIFFEID? = nil, expiresAt: Date? = nil, limit: LifetimeLimit? = nil
    ) -> IssuanceFact {
        var fact = IssuanceFact(.issued)
        (fact.spiffeID, fact.expiresAt, fact.limit) = (id, expiresAt, limit)
        return fact
    }

    /// A credential was refused.
    package static func denied(_ reason: String) -> IssuanceFact {
        var fact = IssuanceFact(.denied)
        fact.reason = cut(reason)
        return fact
    }

    /// What is kept of a text that a caller chose.
    package static func cut(_ text: String) -> String {
        guard text.utf8.count > maximumText else { return text }
        return String(decoding: text.utf8.prefix(maximumText), as: UTF8.self)
    }
}
