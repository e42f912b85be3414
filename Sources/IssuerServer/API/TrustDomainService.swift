internal import GRPCCore
internal import IssuerAPIProtos
internal import IssuerDomain
internal import Logging
internal import SPIFFE
internal import SwiftProtobuf

/// `spire.api.server.trustdomain.v1.TrustDomain`.
struct TrustDomainService: Spire_Api_Server_Trustdomain_V1_TrustDomain.SimpleServiceProtocol {
    let access: AccessControl
    let federation: FederationRegistrar
    let follower: BundleFollower
    let logger: Logger

    func listFederationRelationships(
        request: Spire_Api_Server_Trustdomain_V1_ListFederationRelationshipsRequest, context: ServerContext
    ) async throws -> Spire_Api_Server_Trustdomain_V1_ListFederationRelationshipsResponse {
        try access.requireLocal(context)
        let known = federation.current
        let mask = request.hasOutputMask ? request.outputMask : .all
        let (page, next) = try DomainPages.page(
            of: known.relationships, size: request.pageSize, after: request.pageToken
        ) { relationship in
            guard mask.trustDomainBundle else { return relationship.endpoint.url.text.utf8.count + 512 }
            return 2560 + (known.bundles[relationship.trustDomain]?.approximateSize ?? 0)
        }
        let relationships = try page.map { relationship in
            try Spire_Api_Types_FederationRelationship(
                relationship, bundle: known.bundles[relationship.trustDomain], mask: mask)
        }
        return .with {
            $0.federationRelationships = relationships
            $0.nextPageToken = next
        }
    }

    func getFederationRelationship(
        request: Spire_Api_Server_Trustdomain_V1_GetFederationRelationshipRequest, context: ServerContext
    ) async throws -> Spire_Api_Types_FederationRelationship {
        try access.requireLocal(context)
        let domain = try TrustDomain(wire: request.trustDomain)
        let known = federation.current
        guard let relationship = known.relationships[domain] else {
            throw FederationError.relationshipMissing(domain)
        }
        return try Spire_Api_Types_FederationRelationship(
            relationship, bundle: known.bundles[domain], mask: request.hasOutputMask ? request.outputMask : .all)
    }

    func batchCreateFederationRelationship(
        request: Spire_Api_Server_Trustdomain_V1_BatchCreateFederationRelationshipRequest, context: ServerContext
    ) async throws -> Spire_Api_Server_Trustdomain_V1_BatchCreateFederationRelationshipResponse {
        try access.requireLocal(context)
        let drafts = request.federationRelationships.map { wire in
            Result { () throws(RPCError) in try FederationRelationshipDraft(wire: wire) }
        }
        let outcomes = try await BatchResults.of(drafts) { try await federation.create($0) }
        let written = try record(
            "federation relationship created", outcomes, request.hasOutputMask ? request.outputMask : .all)
        return .with {
            $0.results = written.map { status, relationship in
                .with {
                    $0.status = status
                    if let relationship { $0.federationRelationship = relationship }
                }
            }
        }
    }

    func batchUpdateFederationRelationship(
        request: Spire_Api_Server_Trustdomain_V1_BatchUpdateFederationRelationshipRequest, context: ServerContext
    ) async throws -> Spire_Api_Server_Trustdomain_V1_BatchUpdateFederationRelationshipResponse {
        try access.requireLocal(context)
        let input = request.hasInputMask ? request.inputMask : .all
        let patches = request.federationRelationships.map { wire in
            Result { () throws(RPCError) in try FederationRelationshipPatch(wire: wire, mask: input) }
        }
        let outcomes = try await BatchResults.of(patches) { try await federation.update($0) }
        let written = try record(
            "federation relationship updated", outcomes, request.hasOutputMask ? request.outputMask : .all)
        return .with {
            $0.results = written.map { status, relationship in
                .with {
                    $0.status = status
                    if let relationship { $0.federationRelationship = relationship }
                }
            }
        }
    }

    func batchDeleteFederationRelationship(
        request: Spire_Api_Server_Trustdomain_V1_BatchDeleteFederationRelationshipRequest, context: ServerContext
    ) async throws -> Spire_Api_Server_Trustdomain_V1_BatchDeleteFederationRelationshipResponse {
        try access.requireLocal(context)
        let domains = request.trustDomains.map { name in
            Result { () throws(RPCError) in try TrustDomain(wire: name) }
        }
        let outcomes = try await BatchResults.of(domains) { try await federation.deleteRelationships(with: $0) }
        for domain in outcomes.compactMap(\.value) {
            logger.info("federation relationship deleted", metadata: ["trust_domain": "\(domain)"])
        }
        follower.wake()
        return .with {
            $0.results = zip(request.trustDomains, outcomes).map { name, outcome in
                .with {
                    $0.status = outcome.status
                    $0.trustDomain = name
                }
            }
        }
    }

    func refreshBundle(
        request: Spire_Api_Server_Trustdomain_V1_RefreshBundleRequest, context: ServerContext
    ) async throws -> Google_Protobuf_Empty {
        try access.requireLocal(context)
        let domain = try TrustDomain(wire: request.trustDomain)
        guard let relationship = federation.current.relationships[domain] else {
            throw FederationError.relationshipMissing(domain)
        }
        try await follower.refresh(relationship)
        return Google_Protobuf_Empty()
    }

    /// Logs what was done, has it followed, and writes it for the caller.
    private func record(
        _ event: Logger.Message, _ outcomes: [Result<FederationRelationship, RPCError>],
        _ mask: Spire_Api_Types_FederationRelationshipMask
    ) throws -> [(status: Spire_Api_Types_Status, relationship: Spire_Api_Types_FederationRelationship?)] {
        follower.wake()
        let bundles = federation.current.bundles
        return try outcomes.map { outcome in
            guard let relationship = outcome.value else { return (outcome.status, nil) }
            logger.info(
                event,
                metadata: [
                    "trust_domain": "\(relationship.trustDomain)", "endpoint.url": "\(relationship.endpoint.url)",
                    "endpoint.profile": "\(relationship.endpoint.profile)",
                ])
            return (
                outcome.status,
                try Spire_Api_Types_FederationRelationship(
                    relationship, bundle: bundles[relationship.trustDomain], mask: mask)
            )
        }
    }
}
