/// Why a connection ended, by the words of the log and the metrics.
package enum CutReason: Hashable, Sendable {
    case closedByPeer
    case senderIsAnotherProcess
    case senderUnknown
    case descriptorsPassed
    case controlDataTruncated
    case brokeProtocol(String)
    case tooSlowToOpen
    case silent
    case requestTooSlow
    case readerTooSlow
    case userOverMemory
    case shutdown
    /// The handler has learned that the process at the other end has ended.
    case processExited
    /// What the handler said.
    case handler(String)
    /// A system call failed in a way that it should not.
    case systemError(String)

    /// A constant, for a label.
    package var label: String {
        switch self {
        case .closedByPeer: "closed_by_peer"
        case .senderIsAnotherProcess: "sender_is_another_process"
        case .senderUnknown: "sender_unknown"
        case .descriptorsPassed: "descriptors_passed"
        case .controlDataTruncated: "control_data_truncated"
        case .brokeProtocol: "broke_protocol"
        case .tooSlowToOpen: "too_slow_to_open"
        case .silent: "silent"
        case .requestTooSlow: "request_too_slow"
        case .readerTooSlow: "reader_too_slow"
        case .userOverMemory: "user_over_memory"
        case .shutdown: "shutdown"
        case .processExited: "process_exited"
        case .handler: "handler"
        case .systemError: "system_error"
        }
    }

    /// Whether somebody may want to read about it.
    var isRemarkable: Bool { self != .closedByPeer && self != .shutdown && self != .processExited }

    var explanation: String {
        switch self {
        case .brokeProtocol(let rule): rule
        case .handler(let reason): reason
        case .systemError(let text): text
        default: label
        }
    }
}
