internal import AgentDomain
internal import Foundation
internal import IssuerAPIProtos
internal import SPIFFE
internal import SwiftProtobuf

extension EntryConditions {
    /// Reads what an entry says beyond the public API.
    ///
    /// It is nil when it asks for what this agent does not understand: such an entry may not be served.
    ///
    /// - Parameter wire: nil from an issuer that has no words for it.
    /// - Throws: When it is not well formed.
    init?(_ wire: Mintmark_V1_Entry?) throws {
        self.init()
        guard let wire else { return }
        guard wire.vocabulary <= Self.vocabulary else { return nil }
        let details = wire.details
        rules = SelectorRules(
            anyOf: try details.rules.anyOf.map { try Self.selectors($0.selectors) },
            noneOf: try Self.selectors(details.rules.noneOf), digestSets: details.rules.digestSets)
        for set in wire.digestSets {
            var digests: [String: Date?] = [:]
            for digest in set.digests {
                digests[digest.sha256] = .some(
                    digest.until == 0 ? nil : Date(timeIntervalSince1970: TimeInterval(digest.until)))
            }
            digestSets[set.name] = digests
        }
        audiences = details.audiences
        hasInstanceKeys = details.perInstanceKeys
        if !details.keyType.isEmpty {
            guard let type = WorkloadKeyType(rawValue: details.keyType) else { return nil }
            keyType = type
        }
        if !details.idTemplate.isEmpty {
            guard let template = try? IDTemplate(parsing: details.idTemplate) else { return nil }
            self.template = template
        }
    }

    private static func selectors(_ wire: [Spire_Api_Types_Selector]) throws -> [Selector] {
        try wire.map { try Selector(kind: $0.type, value: $0.value) }
    }
}
