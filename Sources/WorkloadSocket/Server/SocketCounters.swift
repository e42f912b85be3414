package import GRPCWire

/// What has happened since the start.
package struct SocketCounters: Sendable {
    /// Why a connection was not taken.
    package enum Refusal: String, Hashable, Sendable, CaseIterable {
        case userLimit = "user_limit"
        case totalLimit = "total_limit"
        case peerGone = "peer_gone"
    }

    package struct CallKey: Hashable, Sendable {
        /// Index in the method table; nil for what is not in it.
        package let method: Int?
        package let code: CallStatus.Code
    }

    /// Connections at the moment.
    package internal(set) var open = 0
    package internal(set) var accepted = 0
    package internal(set) var refused: [Refusal: Int] = [:]
    /// By ``CutReason/label``.
    package internal(set) var ended: [String: Int] = [:]
    package internal(set) var calls: [CallKey: Int] = [:]
    /// Times that accepting had to pause, such as for want of descriptors.
    package internal(set) var acceptPauses = 0
    package internal(set) var workers = 0
}
