package import Foundation
internal import Platform

/// From when to when an SVID is valid, and which rule set the end, so that an admin can be told why it is short.
package struct LifetimeDecision: Hashable, Sendable {
    /// In whole seconds, as certificates and tokens keep it.
    package let validity: Range<Date>
    package let limit: LifetimeLimit
    /// What was wanted, counted from the decision on.
    package let asked: Duration
    /// What it got.
    package let granted: Duration

    /// Decides a lifetime.
    ///
    /// - Parameters:
    ///   - asked: What the entry, or the default, says.
    ///   - isDefault: Whether it was the default.
    ///   - entryEnd: When the entry ends, if it does: an SVID never outlives it.
    ///   - ceilings: Whatever else it may not outlive.
    ///   - authority: When the authority is valid.
    ///   - now: The time.
    /// - Throws: `lifetimeExhausted` or `clockBeforeAuthority`.
    package init(
        asked: Duration, isDefault: Bool, entryEnd: Date?, ceilings: [LifetimeCeiling] = [], authority: Range<Date>,
        now: Date
    ) throws(IssuanceError) {
        guard now >= authority.lowerBound else {
            throw .clockBeforeAuthority(now: now, start: authority.lowerBound)
        }
        var end = now + asked.timeInterval
        var limit: LifetimeLimit = isDefault ? .issuerDefault : .entry
        if let entryEnd, entryEnd < end { (end, limit) = (entryEnd, .entryExpiry) }
        for ceiling in ceilings where ceiling.end < end { (end, limit) = (ceiling.end, ceiling.limit) }
        if authority.upperBound < end { (end, limit) = (authority.upperBound, .authorityExpiry) }
        end = Date(timeIntervalSince1970: end.timeIntervalSince1970.rounded(.down))
        guard end > now else { throw .lifetimeExhausted(limit: limit) }
        let start = Date(timeIntervalSince1970: (now.timeIntervalSince1970 - AuthorityKeeper.backdate).rounded(.down))
        validity = max(start, authority.lowerBound)..<end
        self.limit = limit
        self.asked = asked
        granted = .seconds(end.timeIntervalSince(now))
    }

    /// Why the SVID is shorter than asked, for a person; nil when it is not.
    package var shortfall: String? {
        switch limit {
        case .issuerDefault, .entry: nil
        case .entryExpiry, .parentExpiry, .nodeExpiry, .ceiling, .authorityExpiry:
            "\(asked.wholeSeconds) s were asked for and \(granted.wholeSeconds) s are left: \(limit.reason) at "
                + validity.upperBound.formatted(.iso8601)
        }
    }
}

/// An instant that an SVID may not outlive.
package struct LifetimeCeiling: Hashable, Sendable {
    package let end: Date
    package let limit: LifetimeLimit

    package init(end: Date, limit: LifetimeLimit) { (self.end, self.limit) = (end, limit) }
}

/// Which rule set the end of an SVID.
package enum LifetimeLimit: String, Hashable, Sendable, CustomStringConvertible, CaseIterable {
    case issuerDefault = "issuer_default"
    case entry
    case entryExpiry = "entry_expiry"
    case parentExpiry = "parent_expiry"
    case nodeExpiry = "node_expiry"
    case ceiling
    case authorityExpiry = "authority_expiry"

    package var description: String { rawValue }

    var reason: String {
        switch self {
        case .issuerDefault: "the server's default ends"
        case .entry: "the entry's lifetime ends"
        case .entryExpiry: "the entry ends"
        case .parentExpiry: "an entry above it ends"
        case .nodeExpiry: "the node's permission ends"
        case .ceiling: "the longest lifetime that the server allows ends"
        case .authorityExpiry: "the signing authority ends"
        }
    }
}
