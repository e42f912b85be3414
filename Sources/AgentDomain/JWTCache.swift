package import Foundation
package import Platform
package import SPIFFE

/// Tokens by entry and audience set, each served until half of its life is over (GS-13).
///
/// Bounded: the least recently used goes first.
package struct JWTCache: Sendable {
    /// What a token is kept under: order and repeats of the audience do not matter to a validator, but the token that
    /// is handed out says them as the first caller did.
    package struct Key: Hashable, Sendable {
        package let slot: SVIDSlot
        package let entryRevision: Int64
        package let audience: Set<ExactText>

        package init(slot: SVIDSlot, entryRevision: Int64, audience: [String]) {
            (self.slot, self.entryRevision, self.audience) = (
                slot, entryRevision, Set(audience.map { ExactText($0) })
            )
        }
    }

    private struct Slot {
        let svid: HeldJWTSVID
        var lastUse: UInt64
    }

    private let capacity: Int
    private var slots: [Key: Slot] = [:]
    private var uses: UInt64 = 0

    /// Creates an empty cache.
    ///
    /// - Parameter capacity: The most tokens kept.
    package init(capacity: Int = 1000) { self.capacity = capacity }

    /// How many tokens are held.
    package var count: Int { slots.count }

    /// A token that is still in the first half of its life.
    package mutating func fresh(_ key: Key, now: Date) -> HeldJWTSVID? {
        guard let svid = slots[key]?.svid, now >= svid.issuedAt - 1, now < svid.staleAt else { return nil }
        uses += 1
        slots[key]?.lastUse = uses
        return svid
    }

    /// A token that is past half of its life but not over; for when no new one can be had.
    package func usable(_ key: Key, now: Date) -> HeldJWTSVID? {
        guard let svid = slots[key]?.svid, now < svid.expiresAt else { return nil }
        return svid
    }

    /// Keeps a token.
    package mutating func insert(_ svid: HeldJWTSVID, for key: Key) {
        uses += 1
        slots[key] = Slot(svid: svid, lastUse: uses)
        guard slots.count > capacity, let oldest = slots.min(by: { $0.value.lastUse < $1.value.lastUse }) else {
            return
        }
        slots[oldest.key] = nil
    }

    /// Drops tokens signed with keys that are tainted, or that the bundle no longer holds.
    package mutating func drop(tainted: Set<String>, published: Set<String>) {
        slots = slots.filter { _, slot in
            guard let keyID = slot.svid.keyID else { return true }
            return published.contains(keyID) && !tainted.contains(keyID)
        }
    }

    /// Drops tokens of entries that are gone or changed, and tokens that have ended.
    package mutating func retain(entries: [String: Int64], now: Date) {
        slots = slots.filter { key, slot in
            entries[key.slot.entryID] == key.entryRevision && slot.svid.expiresAt > now
        }
    }
}

/// A JWT-SVID for workloads that match its entry.
package struct HeldJWTSVID: Hashable, Sendable {
    package let spiffeID: SPIFFEID
    package let token: SecretText
    package let issuedAt: Date
    package let expiresAt: Date
    /// Which key signed it; nil when the token does not say.
    package let keyID: String?

    package init(spiffeID: SPIFFEID, token: SecretText, issuedAt: Date, expiresAt: Date, keyID: String? = nil) {
        self.spiffeID = spiffeID
        self.token = token
        self.issuedAt = issuedAt
        self.expiresAt = expiresAt
        self.keyID = keyID
    }

    /// When half of its life is over.
    package var staleAt: Date { issuedAt + expiresAt.timeIntervalSince(issuedAt) / 2 }
}
