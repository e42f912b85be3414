internal import ArgumentParser
internal import Foundation
internal import IssuerAPIProtos
internal import Platform
internal import SPIFFE
internal import SwiftProtobuf

/// What an entry says beyond the public API; the same flags create and update.
struct EntryDetailsOptions: ParsableArguments {
    @Option(help: ArgumentHelp("What it is for, in a sentence or more.", valueName: "text"))
    var description: String?

    @Option(help: ArgumentHelp("Who answers for it.", valueName: "name"))
    var owner: String?

    @Option(help: ArgumentHelp("What its holder does, in a few words.", valueName: "text"))
    var purpose: String?

    @Option(help: ArgumentHelp("A label; repeat for more, which replace all the old ones.", valueName: "name=value"))
    var label: [String] = []

    @Option(
        name: .customLong("class"),
        help: "What runs: agent, tool or service. An agent may not go by users and groups alone, unless forced.")
    var entryClass: EntryClassArgument?

    @Option(help: ArgumentHelp("When it begins, RFC 3339.", valueName: "instant"))
    var notBefore: InstantArgument?

    @Flag(inversion: .prefixedNo, help: "Give its identity to nobody for now.")
    var disabled: Bool?

    @Option(help: ArgumentHelp("An audience that its JWT-SVIDs may be for; repeat for more.", valueName: "text"))
    var audience: [String] = []

    @Option(help: "Key type of its X.509-SVIDs: ec-p256, ec-p384 or rsa-2048; the agent's choice when left out.")
    var keyType: WorkloadKeyType?

    @Flag(inversion: .prefixedNo, help: "Give each process a key and an SVID of its own.")
    var perInstanceKeys: Bool?

    @Option(
        help: ArgumentHelp(
            "At least one of these must be found: selectors with ' | ' between them; repeat for more groups.",
            valueName: "k:v | k:v"),
        transform: { try EntryDetailsOptions.group($0) })
    var anyOf: [[Selector]] = []

    @Option(
        help: ArgumentHelp(
            "What may not be found, and must be known not to be there; repeat for more.", valueName: "k:v"),
        transform: Judged.selector)
    var noneOf: [Selector] = []

    @Option(help: ArgumentHelp("A digest set that holds the executable; repeat for more.", valueName: "name"))
    var digestSet: [String] = []

    @Option(
        help: ArgumentHelp(
            "Goes on below the SPIFFE ID, with facts in places such as {unix:user}.", valueName: "template"),
        transform: { try EntryDetailsOptions.template($0) })
    var idTemplate: IDTemplate?

    func validate() throws { _ = try labels() }

    /// Writes what was said into details, and marks it in a mask.
    func apply(to details: inout Mintmark_V1_Details, mask: inout Mintmark_V1_DetailsMask) throws {
        applyTexts(&details, &mask)
        if !label.isEmpty {
            details.labels = try labels()
            mask.labels = true
        }
        if let entryClass {
            details.class = entryClass.wire
            mask.class = true
        }
        if let notBefore {
            details.notBefore = notBefore.date.unixSeconds
            mask.notBefore = true
        }
        if let disabled {
            details.disabled = disabled
            mask.disabled = true
        }
        if !audience.isEmpty {
            details.audiences = audience
            mask.audiences = true
        }
        if let keyType {
            details.keyType = keyType.rawValue
            mask.keyType = true
        }
        if let perInstanceKeys {
            details.perInstanceKeys = perInstanceKeys
            mask.perInstanceKeys = true
        }
        applyRules(&details, &mask)
    }

    private func applyTexts(_ details: inout Mintmark_V1_Details, _ mask: inout Mintmark_V1_DetailsMask) {
        if let description {
            details.description_p = description
            mask.description_p = true
        }
        if let owner {
            details.owner = owner
            mask.owner = true
        }
        if let purpose {
            details.purpose = purpose
            mask.purpose = true
        }
    }

    private func applyRules(_ details: inout Mintmark_V1_Details, _ mask: inout Mintmark_V1_DetailsMask) {
        if !anyOf.isEmpty {
            details.rules.anyOf = anyOf.map { group in .with { $0.selectors = group.map(\.onWire) } }
            mask.anyOf = true
        }
        if !noneOf.isEmpty {
            details.rules.noneOf = noneOf.map(\.onWire)
            mask.noneOf = true
        }
        if !digestSet.isEmpty {
            details.rules.digestSets = digestSet
            mask.digestSets = true
        }
        if let idTemplate {
            details.idTemplate = idTemplate.description
            mask.idTemplate = true
        }
    }

    private func labels() throws -> [String: String] {
        var labels: [String: String] = [:]
        for text in label {
            guard let sign = text.firstIndex(of: "="), sign != text.startIndex else {
                throw ValidationError("'--label \(text)' is not NAME=VALUE")
            }
            labels[String(text[..<sign])] = String(text[text.index(after: sign)...])
        }
        return labels
    }

    private static func group(_ text: String) throws -> [Selector] {
        try text.components(separatedBy: " | ").map { try Judged.selector($0.trimmingCharacters(in: .whitespaces)) }
    }

    private static func template(_ text: String) throws -> IDTemplate {
        do throws(IDTemplateError) { return try IDTemplate(parsing: text) } catch {
            throw ValidationError("\(error)")
        }
    }
}

/// A class, as a flag says it.
enum EntryClassArgument: String, ExpressibleByArgument, CaseIterable {
    case agent
    case tool
    case service

    var wire: Mintmark_V1_Class {
        switch self {
        case .agent: .agent
        case .tool: .tool
        case .service: .service
        }
    }
}

extension WorkloadKeyType: ExpressibleByArgument {}

extension Selector {
    var onWire: Spire_Api_Types_Selector {
        .with {
            $0.type = kind
            $0.value = value
        }
    }
}
