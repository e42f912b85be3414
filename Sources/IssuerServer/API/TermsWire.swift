internal import GRPCCore
internal import IssuerAPIProtos
internal import IssuerDomain
internal import SPIFFE
internal import SwiftProtobuf

// Between the terms of `mintmark.v1` and the domain's.

extension Mintmark_V1_Terms {
    init(_ terms: AssuranceTerms) {
        self.init()
        minAssurance = UInt32(terms.minimum.number)
        allowJit = terms.allowsJIT
    }
}

extension Mintmark_V1_Entry {
    /// Writes an entry with its terms, and the fields that a mask names.
    init(_ entry: Entry, mask: Spire_Api_Types_EntryMask = .all) {
        self.init()
        self.entry = Spire_Api_Types_Entry(entry, mask: mask)
        terms = Mintmark_V1_Terms(entry.contents.terms)
        details = Mintmark_V1_Details(entry.contents.details)
        vocabulary = entry.contents.details.neededVocabulary
    }
}

extension AssuranceLevel {
    init(wire: UInt32) throws(RPCError) {
        guard let level = Int(exactly: wire).flatMap({ AssuranceLevel(rawValue: $0) }) else {
            throw RPCError(code: .invalidArgument, message: "min_assurance must be 0, 1, 2 or 3")
        }
        self = level
    }
}

extension TermsRequest {
    /// Reads what an admin asks for; what is not there is left to the rules.
    init(minimum: UInt32?, allowsJIT: Bool?, force: Bool) throws(RPCError) {
        var level: AssuranceLevel?
        if let minimum { level = try AssuranceLevel(wire: minimum) }
        self.init(minimum: level, allowsJIT: allowsJIT, insistence: force ? .forced : .plain)
    }
}

extension EntryDraft {
    init(wire: Mintmark_V1_CreateEntriesRequest.Item) throws(RPCError) {
        var contents = try EntryContents(wire: wire.entry)
        contents.details = try EntryDetails(wire: wire.details)
        self.init(
            id: wire.entry.id.isEmpty ? nil : wire.entry.id, contents: contents,
            terms: try TermsRequest(
                minimum: wire.hasMinAssurance ? wire.minAssurance : nil,
                allowsJIT: wire.hasAllowJit ? wire.allowJit : nil, force: wire.force))
    }
}

extension EntryPatch {
    init(wire: Mintmark_V1_UpdateEntriesRequest.Item) throws(RPCError) {
        try self.init(
            wire: wire.entry, mask: wire.hasMask ? wire.mask : Spire_Api_Types_EntryMask(),
            terms: TermsRequest(
                minimum: wire.hasMinAssurance ? wire.minAssurance : nil,
                allowsJIT: wire.hasAllowJit ? wire.allowJit : nil, force: wire.force),
            details: EntryDetails(wire: wire.details), detailsMask: wire.detailsMask)
    }

    /// Reads a patch: only what the mask names has to be there and well formed.
    init(
        wire: Spire_Api_Types_Entry, mask: Spire_Api_Types_EntryMask, terms: TermsRequest = .init(),
        details: EntryDetails = .init(), detailsMask: Mintmark_V1_DetailsMask = .init()
    ) throws(RPCError) {
        guard !wire.id.isEmpty else { throw RPCError(code: .invalidArgument, message: "entry ID is missing") }
        var whole = wire
        // Fields outside the mask are never used; these stand in so that the rest can be read.
        if !mask.spiffeID { whole.spiffeID = .with { $0.trustDomain = "unused" } }
        if !mask.parentID { whole.parentID = .with { $0.trustDomain = "unused" } }
        if !mask.selectors { whole.selectors = [] }
        if !mask.federatesWith { whole.federatesWith = [] }
        let contents = try EntryContents(wire: whole)
        self.init(id: wire.id, terms: terms) {
            $0.merge(contents, mask: mask)
            $0.details.merge(details, mask: detailsMask)
        }
    }
}
