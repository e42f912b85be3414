internal import GRPCCore
internal import IssuerDomain
internal import Synchronization

/// Counts what a server does, by labels of which there are few: never by who asked.
final class ServerCounters: Sendable {
    /// A method and how a call of it ended.
    struct CallEnd: Hashable {
        let method: String
        let code: String
    }

    /// What came of a credential that was asked for.
    struct Credential: Hashable {
        let kind: String
        let outcome: IssuanceRecord.Outcome
        /// The rule that set its end; nil where none did.
        let limit: LifetimeLimit?
    }

    /// How nodes want to be let in, and what came of it.
    struct Attestation: Hashable {
        let type: String
        let outcome: IssuanceRecord.Outcome
    }

    struct Values {
        var calls: [CallEnd: UInt64] = [:]
        var credentials: [Credential: UInt64] = [:]
        var attestations: [Attestation: UInt64] = [:]
    }

    private let guarded = Mutex(Values())

    /// Everything so far.
    var values: Values { guarded.withLock { $0 } }

    /// Counts a call that ended.
    func ended(_ method: String, _ code: String) {
        guarded.withLock { $0.calls[CallEnd(method: method, code: code), default: 0] &+= 1 }
    }

    /// Counts what a call brought about.
    func count(_ fact: IssuanceFact, of method: String) {
        guard let kind = Self.kind(of: method) else { return }
        let credential = Credential(kind: kind, outcome: fact.outcome, limit: fact.limit)
        guarded.withLock { $0.credentials[credential, default: 0] &+= 1 }
    }

    /// Counts a node that wanted to be let in.
    func attested(_ type: String, _ outcome: IssuanceRecord.Outcome) {
        guarded.withLock { $0.attestations[Attestation(type: type, outcome: outcome), default: 0] &+= 1 }
    }

    /// What a method issues.
    private static func kind(of method: String) -> String? {
        switch method.split(separator: "/").last {
        case "MintX509SVID"?, "BatchNewX509SVID"?: "x509"
        case "MintJWTSVID"?, "NewJWTSVID"?: "jwt"
        case "MintWITSVID"?, "BatchNewWITSVID"?: "wit"
        case "NewDownstreamX509CA"?: "downstream"
        case "AttestAgent"?, "RenewAgent"?: "agent"
        case "CreateJoinToken"?: "join_token"
        default: nil
        }
    }
}
