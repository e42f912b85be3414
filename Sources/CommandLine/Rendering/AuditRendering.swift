internal import Foundation
package import IssuerAPIProtos
internal import Platform
internal import SPIFFE

/// Shows the issuance record.
package enum AuditRendering {
    package static func list(_ issuances: [Mintmark_V1_Issuance]) -> Rendering {
        Rendering(
            .members(["issuances": .array(issuances.map(value))]),
            table: TableText.rows(
                ["TIME", "OUTCOME", "CALL", "BY", "SPIFFE ID", "CREDENTIAL", "LIFETIME", "LIMITED BY", "REASON"],
                issuances.map { issuance in
                    [
                        time(issuance), outcome(issuance), String(issuance.method.split(separator: "/").last ?? ""),
                        issuance.principal, issuance.spiffeID,
                        issuance.serial.isEmpty ? issuance.jti : issuance.serial, lifetime(issuance),
                        issuance.limitedBy,
                        reason(issuance),
                    ]
                }, empty: "no records"))
    }

    private static func value(_ issuance: Mintmark_V1_Issuance) -> JSONValue {
        .members([
            "number": .integer(issuance.number),
            "time": .string(time(issuance)),
            "outcome": .string(outcome(issuance)),
            "request_id": .string(issuance.requestID),
            "caller_class": .string(issuance.callerClass),
            "principal": .string(issuance.principal),
            "address": .string(issuance.address),
            "method": .string(issuance.method),
            "entry_id": text(issuance.entryID),
            "entry_revision": issuance.entryID.isEmpty ? .null : .integer(issuance.entryRevision),
            "spiffe_id": text(issuance.spiffeID),
            "serial_number": text(issuance.serial),
            "jti": text(issuance.jti),
            "audience": .array(issuance.audience.map { .string($0) }),
            "expires_at": InstantText.optional(issuance.expiresAt),
            "asked_seconds": issuance.askedSeconds == 0 ? .null : .integer(issuance.askedSeconds),
            "granted_seconds": issuance.askedSeconds == 0 ? .null : .integer(issuance.grantedSeconds),
            "limited_by": text(issuance.limitedBy),
            "reason": text(issuance.reason),
            "asked": text(issuance.asked),
            "repeats": issuance.repeats == 0 ? .null : .integer(issuance.repeats),
            "first_time": issuance.repeats == 0 ? .null : .string(instant(issuance.firstMs)),
        ])
    }

    private static func text(_ text: String) -> JSONValue { text.isEmpty ? .null : .string(text) }

    private static func outcome(_ issuance: Mintmark_V1_Issuance) -> String {
        switch issuance.outcome {
        case .issued: "issued"
        case .denied: "denied"
        case .unspecified, .UNRECOGNIZED: "unknown"
        }
    }

    private static func reason(_ issuance: Mintmark_V1_Issuance) -> String {
        guard issuance.repeats > 0 else { return issuance.reason }
        return "\(issuance.repeats) times since \(instant(issuance.firstMs)): \(issuance.reason)"
    }

    /// What was granted, and what was asked for where that is more.
    private static func lifetime(_ issuance: Mintmark_V1_Issuance) -> String {
        guard issuance.askedSeconds > 0 else { return "" }
        return issuance.grantedSeconds == issuance.askedSeconds
            ? "\(issuance.grantedSeconds) s" : "\(issuance.grantedSeconds) s of \(issuance.askedSeconds) s"
    }

    private static func time(_ issuance: Mintmark_V1_Issuance) -> String { instant(issuance.timeMs) }

    private static func instant(_ milliseconds: Int64) -> String {
        Date(unixMilliseconds: milliseconds)
            .formatted(Date.ISO8601FormatStyle(includingFractionalSeconds: true))
    }
}
