internal import Foundation
internal import GRPCCore
internal import IssuerAPIProtos
internal import IssuerDomain
internal import SPIFFE
internal import SwiftProtobuf

/// Which agents an admin asks to see.
struct AgentFilter {
    private let wire: Spire_Api_Server_Agent_V1_ListAgentsRequest.Filter?
    private let selectors: SetMatch<Selector>?
    private let expiresBefore: Date?

    /// Reads a filter; nil admits all.
    ///
    /// - Throws: `RPCError` InvalidArgument for one that cannot be meant.
    init(_ wire: Spire_Api_Server_Agent_V1_ListAgentsRequest.Filter?) throws(RPCError) {
        self.wire = wire
        if let wire, wire.hasBySelectorMatch {
            var wanted: [Selector] = []
            for selector in wire.bySelectorMatch.selectors { wanted.append(try Selector(wire: selector)) }
            guard !wanted.isEmpty else { throw RPCError(code: .invalidArgument, message: "no selector to match") }
            selectors = SetMatch(wanted, mode: try .init(wire: wire.bySelectorMatch.match.rawValue))
        } else {
            selectors = nil
        }
        if let text = wire?.byExpiresBefore, !text.isEmpty {
            guard let instant = WireInstant.parse(text) else {
                throw RPCError(
                    code: .invalidArgument,
                    message: "expires before: neither 2027-01-15T09:00:00Z nor 2027-01-15 09:00:00 +0000 +00")
            }
            expiresBefore = instant
        } else {
            expiresBefore = nil
        }
    }

    func admits(_ agent: AttestedAgent) -> Bool {
        guard let wire else { return true }
        if !wire.byAttestationType.isEmpty, agent.attestationType != wire.byAttestationType { return false }
        if wire.hasByBanned, agent.isBanned != wire.byBanned.value { return false }
        if wire.hasByCanReattest, agent.canReattest != wire.byCanReattest.value { return false }
        if let selectors, !selectors.admits(agent.selectors) { return false }
        if let expiresBefore, agent.expiresAt >= expiresBefore { return false }
        return true
    }
}

extension Spire_Api_Server_Agent_V1_CountAgentsRequest.Filter {
    /// The same filter as a listing takes it; the two messages differ in name only.
    var asListFilter: Spire_Api_Server_Agent_V1_ListAgentsRequest.Filter {
        .with {
            $0.byAttestationType = byAttestationType
            if hasBySelectorMatch { $0.bySelectorMatch = bySelectorMatch }
            if hasByBanned { $0.byBanned = byBanned }
            if hasByCanReattest { $0.byCanReattest = byCanReattest }
            $0.byExpiresBefore = byExpiresBefore
        }
    }
}

/// Instants as admins' tools write them.
enum WireInstant {
    /// Reads RFC 3339, or the form of SPIRE's tools, such as `2027-01-15 09:00:00 +0100 +01`.
    static func parse(_ text: String) -> Date? {
        let words = text.split(separator: " ", omittingEmptySubsequences: false)
        guard words.count == 4 else { return try? Date(text, strategy: .iso8601) }
        let (offset, zone) = (Array(words[2].utf8), words[3])
        // The zone repeats the hours of the offset.
        guard words[0].utf8.count == 10, words[1].utf8.count == 8, offset.count == 5, zone.utf8.count == 3,
            words[2].hasPrefix(zone), let sign = ["+": 1.0, "-": -1.0][String(words[2].prefix(1))],
            let hours = number(offset[1...2]), let minutes = number(offset[3...4]), hours < 24, minutes < 60,
            let asUTC = try? Date("\(words[0])T\(words[1])Z", strategy: .iso8601)
        else { return nil }
        return asUTC - sign * Double(hours * 3600 + minutes * 60)
    }

    private static func number(_ digits: ArraySlice<UInt8>) -> Int? {
        guard digits.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) else { return nil }
        return digits.reduce(0) { $0 * 10 + Int($1 - UInt8(ascii: "0")) }
    }
}
