package import Foundation
internal import Platform

/// From when to when an SVID is valid, and which rule set the end, so that an admin can be told why it is short.
package struct LifetimeDecision: Hashable, Sendable {
    /// In whole seconds, as certificates and tokens keep it.
    package let validity: Range<Date>
    package let limit: LifetimeLimit

    /// Decides a lifetime.
    ///
    /// - Parameters:
    ///   - asked: What the entry, or the default, says.
    ///   - isDefault: Whether it was the default.
    ///   - entryEnd: When the entry ends, if it does: an SVID never outlives it.
    ///   - authority: When the authority is valid.
    ///   - now: The time.
    /// - Throws: `lifetimeExhausted` or `clockBeforeAuthority`.
    package init(
        asked: Duration, isDefault: Bool, entryEnd: Date?, authority: Range<Date>, now: Date
    ) throws(IssuanceError) {
        guard now >= authority.lowerBound else {
            throw .clockBeforeAuthority(now: now, start: authority.lowerBound)
        }
        var end = now + asked.timeInterval
        var limit: LifetimeLimit = isDefault ? .issuerDefault : .entry
        if let entryEnd, entryEnd < end { (end, limit) = (entryEnd, .entryExpiry) }
        if authority.upperBound < end { (end, limit) = (authority.upperBound, .authorityExpiry) }
        end = Date(timeIntervalSince1970: end.timeIntervalSince1970.rounded(.down))
        guard end > now else { throw .lifetimeExhausted(limit: limit) }
        let start = Date(timeIntervalSince1970: (now.timeIntervalSince1970 - AuthorityKeeper.backdate).rounded(.down))
        validity = max(start, authority.lowerBound)..<end
        self.limit = limit
    }
}

/// Which rule set the end of an SVID.
package enum LifetimeLimit: String, Hashable, Sendable, CustomStringConvertible {
    case issuerDefault = "issuer_default"
    case entry
    case entryExpiry = "entry_expiry"
    case authorityExpiry = "authority_expiry"

    package var description: String { rawValue }
}
