package import SPIFFE

/// Where an agent keeps an SVID: one for each entry, unless the entry has several identities or keys.
package struct SVIDSlot: Hashable, Sendable, Comparable, CustomStringConvertible {
    package let entryID: String
    /// What the entry's template became; nil without one.
    package let identity: SPIFFEID?
    /// The process that alone has this key; nil where matching processes share one.
    package let instance: String?

    package init(entryID: String, identity: SPIFFEID? = nil, instance: String? = nil) {
        (self.entryID, self.identity, self.instance) = (entryID, identity, instance)
    }

    /// Whether it is for a process or an identity that is known only when somebody asks.
    package var isOnDemand: Bool { identity != nil || instance != nil }

    package var description: String {
        ([entryID] + [identity.map { "\($0)" }, instance].compactMap(\.self)).joined(separator: " ")
    }

    package static func < (one: SVIDSlot, other: SVIDSlot) -> Bool {
        ExactText(one.description) < ExactText(other.description)
    }
}
