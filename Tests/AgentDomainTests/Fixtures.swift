import AgentDomain
import Foundation
import Platform
import SPIFFE

/// The instant these tests are about.
let now = Date(timeIntervalSince1970: 1_800_000_000)

extension AuthorizedEntry {
    /// An entry with one selector, made a while before ``now``, with one thing changed at a time.
    static func make(
        _ id: String, _ selectors: [String] = ["unix:uid:1"], hint: String = "", prefetchesX509: Bool = true,
        storesSVID: Bool = false, expiresAt: Date? = nil, revision: Int64 = 1, createdAt: Date = now - 1000,
        level: AssuranceLevel = .account, allowsJIT: Bool = false
    ) throws -> AuthorizedEntry {
        AuthorizedEntry(
            id: id, spiffeID: try SPIFFEID("spiffe://example.org/\(id)"),
            selectors: Set(try selectors.map { try Selector(parsing: $0) }), hint: hint, prefetchesX509: prefetchesX509,
            storesSVID: storesSVID, expiresAt: expiresAt, revision: revision, createdAt: createdAt,
            terms: AssuranceTerms(minimum: level, allowsJIT: allowsJIT))
    }
}

/// Selectors from their texts.
func selectors(_ texts: String...) throws -> Set<Selector> { Set(try texts.map { try Selector(parsing: $0) }) }

extension Attestation {
    /// What was found on a process, at a level.
    static func of(
        _ selectors: Set<Selector>, _ level: AssuranceLevel = .account, jit: AssuranceLevel? = nil
    ) -> Attestation {
        Attestation(selectors: selectors, level: level, levelAdmittingJIT: jit ?? level, methods: [])
    }
}

/// A generator that always gives the same number, to reach the ends of a range.
struct ConstantEntropy: RandomNumberGenerator {
    let value: UInt64
    mutating func next() -> UInt64 { value }
}

/// A generator that counts how often it was asked.
struct CountingEntropy: RandomNumberGenerator {
    var count = 0
    mutating func next() -> UInt64 {
        count += 1
        return UInt64(count) &* 0x9E37_79B9_7F4A_7C15
    }
}

extension HeldX509SVID {
    /// An SVID that came at ``now`` or before, due when said.
    static func make(_ id: String, revision: Int64 = 1, due: Date = now + 600) throws -> HeldX509SVID {
        // The plan lies at 45 % of what is left when the generator gives nothing but zeros.
        var zeros = ConstantEntropy(value: 0)
        let arrived = due - 450
        return HeldX509SVID(
            spiffeID: try SPIFFEID("spiffe://example.org/\(id)"), entryRevision: revision, chain: [1],
            key: SecretBytes([2]), validity: min(arrived, now) - 60..<arrived + 1000,
            renewal: RenewalPlan(arrived: arrived, end: arrived + 1000, using: &zeros))
    }
}

extension AgentState.View {
    /// A number to tell views apart by.
    var mark: UInt64 {
        get { UInt64(lastSync?.timeIntervalSince1970 ?? 0) }
        set { lastSync = Date(timeIntervalSince1970: TimeInterval(newValue)) }
    }
}
