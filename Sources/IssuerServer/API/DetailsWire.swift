internal import Foundation
internal import GRPCCore
internal import IssuerAPIProtos
internal import IssuerDomain
internal import Platform
internal import SPIFFE
internal import SwiftProtobuf

// Between the details of `mintmark.v1` and the domain's.

extension EntryDetails {
    /// Reads details; what they may be is judged with the entry.
    init(wire: Mintmark_V1_Details) throws(RPCError) {
        self.init()
        description = wire.description_p
        owner = wire.owner
        purpose = wire.purpose
        labels = wire.labels
        entryClass = try Self.entryClass(wire.class)
        guard wire.notBefore >= 0 else {
            throw RPCError(code: .invalidArgument, message: "not_before is negative")
        }
        notBefore = wire.notBefore == 0 ? nil : Date(timeIntervalSince1970: TimeInterval(wire.notBefore))
        isDisabled = wire.disabled
        audiences = wire.audiences
        if !wire.keyType.isEmpty {
            guard let type = WorkloadKeyType(rawValue: wire.keyType) else {
                throw RPCError(
                    code: .invalidArgument, message: "key_type must be one of \(WorkloadKeyType.names)")
            }
            keyType = type
        }
        hasInstanceKeys = wire.perInstanceKeys
        rules = try SelectorRules(wire: wire.rules)
        if !wire.idTemplate.isEmpty {
            do throws(IDTemplateError) { template = try IDTemplate(parsing: wire.idTemplate) } catch {
                throw RPCError(code: .invalidArgument, message: error.description)
            }
        }
    }

    /// Takes over the details that a mask names.
    mutating func merge(_ other: EntryDetails, mask: Mintmark_V1_DetailsMask) {
        if mask.description_p { description = other.description }
        if mask.owner { owner = other.owner }
        if mask.purpose { purpose = other.purpose }
        if mask.labels { labels = other.labels }
        if mask.class { entryClass = other.entryClass }
        if mask.notBefore { notBefore = other.notBefore }
        if mask.disabled { isDisabled = other.isDisabled }
        if mask.audiences { audiences = other.audiences }
        if mask.keyType { keyType = other.keyType }
        if mask.perInstanceKeys { hasInstanceKeys = other.hasInstanceKeys }
        if mask.anyOf { rules.anyOf = other.rules.anyOf }
        if mask.noneOf { rules.noneOf = other.rules.noneOf }
        if mask.digestSets { rules.digestSets = other.rules.digestSets }
        if mask.idTemplate { template = other.template }
    }

    private static func entryClass(_ wire: Mintmark_V1_Class) throws(RPCError) -> EntryClass? {
        switch wire {
        case .unspecified: nil
        case .agent: .agent
        case .tool: .tool
        case .service: .service
        case .UNRECOGNIZED: throw RPCError(code: .invalidArgument, message: "class must be agent, tool or service")
        }
    }
}

extension WorkloadKeyType {
    /// What there is to choose from, for messages.
    static var names: String { allCases.map(\.rawValue).joined(separator: ", ") }
}

extension SelectorRules {
    fileprivate init(wire: Mintmark_V1_Rules) throws(RPCError) {
        var groups: [[Selector]] = []
        for group in wire.anyOf { groups.append(try Self.selectors(group.selectors)) }
        self.init(anyOf: groups, noneOf: try Self.selectors(wire.noneOf), digestSets: wire.digestSets)
    }

    private static func selectors(_ wire: [Spire_Api_Types_Selector]) throws(RPCError) -> [Selector] {
        var selectors: [Selector] = []
        for selector in wire { selectors.append(try Selector(wire: selector)) }
        return selectors
    }
}

extension Mintmark_V1_Details {
    init(_ details: EntryDetails) {
        self.init()
        description_p = details.description
        owner = details.owner
        purpose = details.purpose
        labels = details.labels
        switch details.entryClass {
        case nil: self.class = .unspecified
        case .agent: self.class = .agent
        case .tool: self.class = .tool
        case .service: self.class = .service
        }
        notBefore = details.notBefore.map { $0.unixSeconds } ?? 0
        disabled = details.isDisabled
        audiences = details.audiences
        keyType = details.keyType?.rawValue ?? ""
        perInstanceKeys = details.hasInstanceKeys
        idTemplate = details.template?.description ?? ""
        guard !details.rules.isEmpty else { return }
        rules = .with {
            $0.anyOf = details.rules.anyOf.map { group in .with { $0.selectors = group.map(\.wire) } }
            $0.noneOf = details.rules.noneOf.map(\.wire)
            $0.digestSets = details.rules.digestSets
        }
    }
}

extension Mintmark_V1_Entry {
    /// Writes an entry as agents get it: with the digests that its rules come to.
    init(_ entry: Entry, digestSets: [String: DigestSet]) {
        self.init(entry)
        self.digestSets = entry.contents.details.rules.digestSets.map { name in
            .with {
                $0.name = name
                // A set that is gone has no digests, and an entry that goes by it matches nothing.
                $0.digests = (digestSets[name]?.accepted ?? [:]).sorted { $0.key < $1.key }.map { digest, end in
                    .with {
                        $0.sha256 = digest
                        $0.until = end.map { $0.unixSeconds } ?? 0
                    }
                }
            }
        }
    }
}
