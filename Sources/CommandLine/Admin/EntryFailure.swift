internal import Bootstrap
internal import GRPCCore
internal import IssuerAPIProtos

/// Turns the status of one item of a batch into an end that a person understands.
enum EntryFailure {
    /// The one result of a request with one item.
    ///
    /// - Throws: ``Failure`` when it was refused.
    static func only(_ response: Mintmark_V1_EntriesResponse) throws(Failure) -> Mintmark_V1_EntriesResponse.Result {
        guard let result = response.results.first else {
            throw Failure(.refused, "server sent no result", hint: "see the server's log")
        }
        guard result.status.code == 0 else {
            throw describe(
                result.status, existing: result.hasEntry ? result.entry.entry : nil, canForce: result.canForce)
        }
        return result
    }

    static func describe(
        _ status: Spire_Api_Types_Status, existing: Spire_Api_Types_Entry? = nil, canForce: Bool = false
    ) -> Failure {
        if let existing {
            return Failure(
                .refused, "an entry with the same identity, parent and selectors already exists: \(existing.id)",
                hint: "change it with 'mintmark entry update \(existing.id)'")
        }
        switch RPCError.Code(rawValue: Int(status.code)) {
        case .permissionDenied?:
            return Failure(.notPermitted, status.message, hint: "ask an admin of the server for a role that covers it")
        case .notFound?: return Failure(.refused, status.message, hint: "list what exists with 'mintmark entry list'")
        case .alreadyExists?: return Failure(.refused, status.message, hint: "choose another ID, or leave it out")
        // The one precondition of entries that has a command of its own.
        case .failedPrecondition? where status.message.contains("no bundle of trust domain"):
            return Failure(
                .refused, status.message,
                hint: "store the bundle with 'mintmark bundle set', or follow it with 'mintmark federation create'")
        case .failedPrecondition?, .resourceExhausted?:
            return Failure(.refused, status.message, hint: "make the call again once that is so")
        default:
            return Failure(
                .refused, status.message,
                hint: canForce
                    ? "correct the value and try again, or store it as it is with --force"
                    : "correct the value and try again")
        }
    }

    /// Says what is to be known about an entry that was stored nevertheless.
    static func warn(_ result: Mintmark_V1_EntriesResponse.Result) {
        for warning in result.warnings { Terminal.complain("warning: \(warning)") }
    }
}

extension RPCError.Code {
    fileprivate init?(rawValue: Int) {
        guard let status = Status.Code(rawValue: rawValue) else { return nil }
        self.init(status)
    }
}
