internal import Foundation
internal import IssuerDomain
internal import Logging
internal import SPIFFE

/// Writes down what became of entries, whichever API it was asked through.
enum EntryAudit {
    /// Records a change, and what a person should know about the entry as it is now.
    ///
    /// - Returns: What a person should know, for those who can be told.
    @discardableResult
    static func record(
        _ event: Logger.Message, _ entry: Entry, of entries: EntryRegistrar, now: Date, _ logger: Logger
    ) -> [EntryWarning] {
        logger.info(
            event,
            metadata: [
                "entry.id": "\(entry.id)", "spiffe.id": "\(entry.contents.spiffeID)",
                "entry.parent_id": "\(entry.contents.parentID)", "entry.revision": "\(entry.revision)",
                "entry.min_assurance": "\(entry.contents.terms.minimum.number)",
                "entry.allow_jit": "\(entry.contents.terms.allowsJIT)",
            ])
        let warnings = entries.warnings(about: entry.contents, now: now)
        for warning in warnings {
            logger.warning(message(warning), metadata: ["entry.id": "\(entry.id)", "warning": "\(warning)"])
        }
        return warnings
    }

    private static func message(_ warning: EntryWarning) -> Logger.Message {
        switch warning {
        case .lifetimeCut: "entry asks for a lifetime that is not to be had"
        case .fakeable, .unmeasuredJIT, .bareInterpreter, .unknownKind, .accountAlone, .disabled: "entry is weak"
        }
    }
}
