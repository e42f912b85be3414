internal import Foundation
internal import SPIFFE
internal import Synchronization

/// When agents were last heard of, until it is written down.
///
/// Every call of every agent is a contact, so the store hears of each agent at most once a minute.
final class AgentContacts: Sendable {
    /// How old what the store holds may become.
    static let interval: TimeInterval = 60

    private let contacts = Mutex<[SPIFFEID: Date]>([:])

    /// Notes a contact with an agent that is known.
    func note(_ id: SPIFFEID, at now: Date) { contacts.withLock { $0[id] = now } }

    /// The last contact since the start; nil when there was none.
    func last(of id: SPIFFEID) -> Date? { contacts.withLock { $0[id] } }

    func forget(_ id: SPIFFEID) { contacts.withLock { $0[id] = nil } }

    /// The contacts that are to be written, in whole seconds; what is of an agent no longer known is forgotten.
    func due(now: Date, agent: (SPIFFEID) -> AttestedAgent?) -> [(id: SPIFFEID, instant: Date)] {
        contacts.withLock { contacts in
            var due: [(id: SPIFFEID, instant: Date)] = []
            for (id, instant) in contacts {
                guard let agent = agent(id) else {
                    contacts[id] = nil
                    continue
                }
                let second = Date(timeIntervalSince1970: instant.timeIntervalSince1970.rounded(.down))
                // A clock that was set back must not silence an agent for as long.
                if let written = agent.lastSeen, abs(second.timeIntervalSince(written)) < Self.interval { continue }
                due.append((id, second))
            }
            return due
        }
    }
}
