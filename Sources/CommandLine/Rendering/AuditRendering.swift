internal import Foundation
package import IssuerAPIProtos
internal import SPIFFE

/// Shows the issuance record.
package enum AuditRendering {
    package static func list(_ issuances: [Mintmark_V1_Issuance]) -> Rendering {
        Rendering(
            .members(["issuances": .array(issuances.map(value))]),
            table: TableText.rows(
                ["TIME", "OUTCOME", "CALL", "BY", "SPIFFE ID", "CREDENTIAL", "LIMITED BY", "REASON"],
                issuances.map { issuance in
                    [
                        time(issuance), outcome(issuance), String(issuance.method.split(separator: "/").last ?? ""),
                        issuance.principal, issuance.spiffeID,
                        issuance.serial.isEmpty ? issuance.jti : issuance.serial, issuance.limitedBy, issuance.reason,
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
            "limited_by": text(issuance.limitedBy),
            "reason": text(issuance.reason),
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

    private static func time(_ issuance: Mintmark_V1_Issuance) -> String {
        Date(timeIntervalSince1970: TimeInterval(issuance.timeMs) / 1000)
            .formatted(Date.ISO8601FormatStyle(includingFractionalSeconds: true))
    }
}
