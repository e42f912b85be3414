internal import GRPCCore
internal import GRPCProtobuf
package import GRPCWire
internal import SwiftProtobuf

/// Why a caller gets nothing: a class that is safe to show, never what other entries ask for.
///
/// Clients look for the code and, for want of an identity, the exact text (SP-01); whoever wants to know more finds the
/// class as `google.rpc.ErrorInfo` in the status details, and the whole reason in `mintmark explain`.
package enum CallRefusal: String, CaseIterable {
    /// No entry names this process.
    case noEntry = "NO_MATCHING_ENTRY"
    /// An entry does, but asks for more than could be shown of the process.
    case assuranceTooLow = "ASSURANCE_TOO_LOW"
    /// The process changed while it was looked at, or between question and answer.
    case processChanged = "PROCESS_CHANGED"
    /// The process could not be looked at.
    case notAttested = "NOT_ATTESTED"
    /// This user asks for more than one user's share.
    case overBudget = "OVER_BUDGET"
    /// The agent has not heard from its issuer, or the issuer does not answer.
    case notReady = "NOT_READY"

    private static let domain = "mintmark"

    /// The end of the call.
    ///
    /// - Parameter message: The caller may read it; the usual text when left out.
    /// - Returns: What the caller gets, its details a `google.rpc.Status`.
    package func status(_ message: String? = nil) -> CallStatus {
        let message = message ?? text
        return CallStatus(code, message, details: details(message))
    }

    private var code: CallStatus.Code {
        switch self {
        case .noEntry, .assuranceTooLow: .permissionDenied
        // Unavailable makes clients try again, and none takes it for the end of an identity (GS-03).
        case .processChanged, .notAttested, .overBudget, .notReady: .unavailable
        }
    }

    private var text: String {
        switch self {
        case .noEntry, .assuranceTooLow: "no identity issued"
        case .processChanged: "the calling process has changed"
        case .notAttested: "workload attestation failed"
        case .overBudget: "too much work for one user; retry later"
        case .notReady: "agent is not ready yet; it has not heard from the issuer"
        }
    }

    private func details(_ message: String) -> [UInt8] {
        let rpcCode: RPCError.Code = code == .permissionDenied ? .permissionDenied : .unavailable
        let status = GoogleRPCStatus(
            code: rpcCode, message: message, details: [.errorInfo(reason: rawValue, domain: Self.domain)])
        return (try? status.serializedBytes()) ?? []
    }
}
