internal import AgentDomain
package import GRPCWire
internal import Synchronization

/// Messages that many callers get alike, made once for each view of the state.
package final class ResponseShelf: Sendable {
    /// What a message says.
    package enum Label: Hashable, Sendable {
        /// The SVIDs of these entries, in order.
        case x509SVIDs([String])
        /// The node's own bundle and those of these other trust domains, in order.
        case x509Bundles([String])
        case jwtBundles([String])
    }

    /// The most messages kept.
    private static let capacity = 4096

    private struct Shelf {
        var revision: UInt64 = 0
        var messages: [Label: [UInt8]] = [:]
    }

    private let shelf = Mutex(Shelf())

    package init() {}

    /// A message of a view; made when it is not there.
    ///
    /// The same message comes in the same storage, so that comparing two is cheap.
    ///
    /// - Parameters:
    ///   - label: What it says.
    ///   - revision: Of the view that it is made of.
    ///   - make: Makes it.
    /// - Returns: The message, serialised.
    /// - Throws: What making it throws.
    package func message(
        _ label: Label, revision: UInt64, make: () throws(CallStatus) -> [UInt8]
    ) throws(CallStatus) -> [UInt8] {
        if let message = shelf.withLock({ $0.revision == revision ? $0.messages[label] : nil }) { return message }
        let message = try make()
        return shelf.withLock { shelf in
            if shelf.revision < revision { shelf = Shelf(revision: revision) }
            guard shelf.revision == revision else { return message }
            if let other = shelf.messages[label] { return other }
            if shelf.messages.count >= Self.capacity { shelf.messages = [:] }
            shelf.messages[label] = message
            return message
        }
    }
}
