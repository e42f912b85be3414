internal import IssuerDomain
internal import Logging
internal import SPIFFE

/// Writes down what became of entries, whichever API it was asked through.
enum EntryAudit {
    /// Records a change, and what a person should know about the entry as it is now.
    static func record(_ event: Logger.Message, _ entry: Entry, _ logger: Logger) {
        logger.info(
            event,
            metadata: [
                "entry.id": "\(entry.id)", "spiffe.id": "\(entry.contents.spiffeID)",
                "entry.parent_id": "\(entry.contents.parentID)", "entry.revision": "\(entry.revision)",
                "entry.min_assurance": "\(entry.contents.terms.minimum.number)",
                "entry.allow_jit": "\(entry.contents.terms.allowsJIT)",
            ])
        for warning in EntryWarning.all(about: entry.contents) {
            logger.warning("entry is weak", metadata: ["entry.id": "\(entry.id)", "warning": "\(warning)"])
        }
    }
}
