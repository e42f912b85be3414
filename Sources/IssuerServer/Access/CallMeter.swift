internal import GRPCCore
internal import IssuerAPIProtos
internal import IssuerDomain
internal import NodeAttestation
internal import SPIFFE

/// What a request weighs, and what is known of it before it is answered.
enum CallMeter {
    /// Items in one batch of anything.
    static let maximumItems = 1000
    /// Identifiers in one request.
    static let maximumIDs = 10_000

    /// What a node's proof costs by its type: signatures to check, keys to look up, others to ask.
    ///
    /// Types that nobody knows are refused at once.
    static let attestationCosts = [
        JoinToken.attestationType: 1, AgentRegistrar.embeddedType: 1, NodeKeyAttestor.type: 2, SSHPoPAttestor.type: 3,
        X509PoPAttestor.type: 5, HTTPChallengeAttestor.type: 10, K8sPSATAttestor.type: 10, TPMDevIDAttestor.type: 20,
    ]
    /// Entries of which one unit tells.
    private static let idsPerUnit = 1000
    /// What is written to disk, one after the other with everything else.
    private static let durableWrite = 10
    /// A signature that is written to disk as well.
    private static let renewal = 50

    /// How many units of its budget a message costs: one for each signature it asks for.
    static func cost(of message: Any) -> Int {
        switch message {
        case let request as Spire_Api_Server_Agent_V1_AttestAgentRequest:
            // One unit is taken before the first message comes.
            (attestationCosts[request.params.data.type] ?? 1) - 1
        case is Spire_Api_Server_Agent_V1_RenewAgentRequest: renewal
        case is Mintmark_V1_RegisterNodeKeyRequest: durableWrite
        case let request as Spire_Api_Server_Entry_V1_SyncAuthorizedEntriesRequest: 1 + request.ids.count / idsPerUnit
        case let request as Mintmark_V1_SyncRequest: 1 + request.ids.count / idsPerUnit
        case let request as Spire_Api_Server_Svid_V1_BatchNewX509SVIDRequest: request.params.count
        case let request as Spire_Api_Server_Svid_V1_BatchNewWITSVIDRequest: request.params.count
        case let request as Mintmark_V1_BatchNewTemplatedX509SVIDRequest: request.items.count
        default: 1
        }
    }

    /// Refuses a message that asks for too much at once.
    ///
    /// - Throws: `RPCError` InvalidArgument.
    static func bound(_ message: Any) throws(RPCError) {
        let (count, limit) =
            switch message {
            case let request as Spire_Api_Server_Entry_V1_BatchCreateEntryRequest: (request.entries.count, maximumItems)
            case let request as Spire_Api_Server_Entry_V1_BatchUpdateEntryRequest: (request.entries.count, maximumItems)
            case let request as Spire_Api_Server_Entry_V1_BatchDeleteEntryRequest: (request.ids.count, maximumItems)
            case let request as Mintmark_V1_CreateEntriesRequest: (request.items.count, maximumItems)
            case let request as Mintmark_V1_UpdateEntriesRequest: (request.items.count, maximumItems)
            case let request as Spire_Api_Server_Entry_V1_SyncAuthorizedEntriesRequest: (request.ids.count, maximumIDs)
            case let request as Mintmark_V1_SyncRequest: (request.ids.count, maximumIDs)
            case let request as Spire_Api_Server_Bundle_V1_BatchCreateFederatedBundleRequest:
                (request.bundle.count, maximumItems)
            case let request as Spire_Api_Server_Bundle_V1_BatchUpdateFederatedBundleRequest:
                (request.bundle.count, maximumItems)
            case let request as Spire_Api_Server_Bundle_V1_BatchSetFederatedBundleRequest:
                (request.bundle.count, maximumItems)
            case let request as Spire_Api_Server_Bundle_V1_BatchDeleteFederatedBundleRequest:
                (request.trustDomains.count, maximumItems)
            case let request as Spire_Api_Server_Trustdomain_V1_BatchCreateFederationRelationshipRequest:
                (request.federationRelationships.count, maximumItems)
            case let request as Spire_Api_Server_Trustdomain_V1_BatchUpdateFederationRelationshipRequest:
                (request.federationRelationships.count, maximumItems)
            case let request as Spire_Api_Server_Trustdomain_V1_BatchDeleteFederationRelationshipRequest:
                (request.trustDomains.count, maximumItems)
            default: (0, 0)
            }
        guard count <= limit else {
            throw RPCError(code: .invalidArgument, message: "a request may hold at most \(limit) items, not \(count)")
        }
    }

    /// Whether what is asked for may make somebody an admin or whatever else holds power; entries that are read later, of a declaration, are judged when they are stored.
    static func mayGivePower(_ message: Any, by entries: GuardedEntryStore) -> Bool {
        if let request = message as? Mintmark_V1_AddDigestSetVersionRequest {
            return entries.leadsToPower(digestSet: request.name)
        }
        let asked: [Spire_Api_Types_Entry] =
            switch message {
            case let request as Spire_Api_Server_Entry_V1_BatchCreateEntryRequest: request.entries
            case let request as Spire_Api_Server_Entry_V1_BatchUpdateEntryRequest: request.entries
            case let request as Mintmark_V1_CreateEntriesRequest: request.items.map(\.entry)
            case let request as Mintmark_V1_UpdateEntriesRequest: request.items.map(\.entry)
            default: []
            }
        return asked.contains { entry in
            entry.admin || entry.downstream
                || entries.leadsToPower(try? SPIFFEID(wire: entry.spiffeID, named: "SPIFFE ID"), entryID: entry.id)
        }
    }

    /// The type of a node's proof, among those that are known; nil for a message that is none.
    static func attestationType(of message: Any) -> String? {
        guard let request = message as? Spire_Api_Server_Agent_V1_AttestAgentRequest,
            case .params(let params)? = request.step
        else { return nil }
        return attestationCosts[params.data.type] == nil ? "other" : params.data.type
    }

    /// What was asked for, where what was issued does not say it; nil for SVIDs, which do.
    static func words(for message: any Sendable) -> String? {
        switch message {
        case is Spire_Api_Server_Agent_V1_AttestAgentRequest, is Spire_Api_Server_Agent_V1_CreateJoinTokenRequest,
            is Spire_Api_Server_Svid_V1_NewDownstreamX509CARequest:
            var fact = IssuanceFact.denied("")
            describe(message, in: &fact)
            return fact.asked
        default: return nil
        }
    }

    /// What a request is about, for the record of its refusal.
    static func describe(_ message: Any, in fact: inout IssuanceFact) {
        switch message {
        case let request as Spire_Api_Server_Agent_V1_AttestAgentRequest:
            guard case .params(let params)? = request.step else { return }
            fact.asked = asked(params.data)
        case let request as Spire_Api_Server_Agent_V1_CreateJoinTokenRequest:
            fact.asked = "ttl \(request.ttl) s"
            guard request.hasAgentID else { return }
            fact.asked = IssuanceFact.cut("ttl \(request.ttl) s, alias \(request.agentID.path)")
        case let request as Spire_Api_Server_Svid_V1_MintX509SVIDRequest:
            let name = (try? SigningRequest.names(in: Array(request.csr)))?.uri
            fact.asked = name.map { IssuanceFact.cut($0) }
            fact.spiffeID = name.flatMap { try? SPIFFEID($0) }
        case let request as Spire_Api_Server_Svid_V1_NewDownstreamX509CARequest:
            let name = (try? SigningRequest.names(in: Array(request.csr)))?.uri
            fact.asked = IssuanceFact.cut("authority \(name ?? "without a name"), ttl \(request.preferredTtl) s")
        case let request as Spire_Api_Server_Svid_V1_NewJWTSVIDRequest:
            fact.entryID = IssuanceFact.cut(request.entryID)
            fact.audience = request.audience.prefix(8).map { IssuanceFact.cut($0) }
        case let request as Spire_Api_Server_Svid_V1_MintJWTSVIDRequest:
            fact.spiffeID = try? SPIFFEID(wire: request.id, named: "SPIFFE ID")
            fact.audience = request.audience.prefix(8).map { IssuanceFact.cut($0) }
        case let request as Mintmark_V1_NewTemplatedJWTSVIDRequest:
            fact.entryID = IssuanceFact.cut(request.entryID)
            fact.audience = request.audience.prefix(8).map { IssuanceFact.cut($0) }
        case let request as Mintmark_V1_BatchNewTemplatedX509SVIDRequest where request.items.count == 1:
            fact.entryID = request.items.first.map { IssuanceFact.cut($0.entryID) }
        case let request as Spire_Api_Server_Svid_V1_BatchNewX509SVIDRequest where request.params.count == 1:
            fact.entryID = request.params.first.map { IssuanceFact.cut($0.entryID) }
        case let request as Mintmark_V1_BatchNewTemplatedX509SVIDRequest:
            fact.asked = "\(request.items.count) X.509-SVIDs"
        case let request as Spire_Api_Server_Svid_V1_BatchNewX509SVIDRequest:
            fact.asked = "\(request.params.count) X.509-SVIDs"
        default: return
        }
    }

    /// The type of a proof and, where it says so itself, whose it claims to be.
    private static func asked(_ data: Spire_Api_Types_AttestationData) -> String {
        let claimed = data.type == NodeKeyAttestor.type ? NodeKeyAttestor.claimedID(in: Array(data.payload)) : nil
        return IssuanceFact.cut(data.type + (claimed.map { " for \($0)" } ?? ""))
    }
}
