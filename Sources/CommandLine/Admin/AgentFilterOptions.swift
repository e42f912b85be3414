internal import ArgumentParser
internal import Foundation
internal import IssuerAPIProtos
internal import SPIFFE
internal import SwiftProtobuf

/// Which agents are meant; what is not said does not narrow.
struct AgentFilterOptions: ParsableArguments {
    /// How an agent's selectors must stand to those given.
    enum Matching: String, ExpressibleByArgument, CaseIterable {
        case superset, subset, exact, any

        var wire: Spire_Api_Types_SelectorMatch.MatchBehavior {
            switch self {
            case .superset: .matchSuperset
            case .subset: .matchSubset
            case .exact: .matchExact
            case .any: .matchAny
            }
        }
    }

    @Option(help: ArgumentHelp("Only agents that proved themselves in this way.", valueName: "type"))
    var attestationType: String?

    @Option(
        help: ArgumentHelp("What must have been proven of an agent; repeat for more.", valueName: "k:v"),
        transform: Judged.selector)
    var selector: [Selector] = []

    @Option(help: "How an agent's selectors must stand to those given.")
    var matchSelectorsOn = Matching.superset

    @Option(help: ArgumentHelp("Only agents that are banned, or are not.", valueName: "true|false"))
    var banned: Bool?

    @Option(help: ArgumentHelp("Only agents that can repeat their proof, or cannot.", valueName: "true|false"))
    var canReattest: Bool?

    @Option(help: ArgumentHelp("Only agents whose SVIDs end before this instant, RFC 3339.", valueName: "instant"))
    var expiresBefore: InstantArgument?

    /// The filter of a listing.
    var wire: Spire_Api_Server_Agent_V1_ListAgentsRequest.Filter {
        .with { filter in
            filter.byAttestationType = attestationType ?? ""
            if !selector.isEmpty {
                filter.bySelectorMatch = .with {
                    $0.selectors = selector.map { selector in
                        .with { ($0.type, $0.value) = (selector.kind, selector.value) }
                    }
                    $0.match = matchSelectorsOn.wire
                }
            }
            if let banned { filter.byBanned = .with { $0.value = banned } }
            if let canReattest { filter.byCanReattest = .with { $0.value = canReattest } }
            filter.byExpiresBefore = expiresBefore?.date.formatted(.iso8601) ?? ""
        }
    }

    /// The same for a count; the two messages differ in name only.
    var countWire: Spire_Api_Server_Agent_V1_CountAgentsRequest.Filter {
        let wire = wire
        return .with {
            $0.byAttestationType = wire.byAttestationType
            if wire.hasBySelectorMatch { $0.bySelectorMatch = wire.bySelectorMatch }
            if wire.hasByBanned { $0.byBanned = wire.byBanned }
            if wire.hasByCanReattest { $0.byCanReattest = wire.byCanReattest }
            $0.byExpiresBefore = wire.byExpiresBefore
        }
    }
}
