/// Every method that a server offers, with who may call it.
///
/// A method without a row is refused to everybody.
package struct MethodTable: Sendable {
    private let rules: [String: MethodRule]

    /// Creates a table.
    ///
    /// - Parameter rows: One for each method.
    package init(_ rows: [MethodRule] = Self.rows) {
        rules = Dictionary(rows.map { ($0.method, $0) }, uniquingKeysWith: { one, _ in one })
    }

    /// The rule for a method; nil for one that is not in the table.
    package subscript(method: String) -> MethodRule? { rules[method] }

    private static let staff: Set<CallerClass> = [.local, .admin]

    /// The issuer's own table.
    package static let rows = agents + entries + svids + bundles + federation + authorities + operations + own

    private static let agents: [MethodRule] = service("spire.api.server.agent.v1.Agent") {
        [
            .init("\($0)/CountAgents", staff, .view),
            .init("\($0)/ListAgents", staff, .view),
            .init("\($0)/GetAgent", staff, .view),
            .init("\($0)/DeleteAgent", staff, .operate),
            .init("\($0)/BanAgent", staff, .operate),
            .init("\($0)/AttestAgent", [.any], budget: .attestation, issues: true),
            .init("\($0)/RenewAgent", [.agent], budget: .signing, issues: true),
            .init("\($0)/CreateJoinToken", staff, .operate, issues: true),
            .init("\($0)/PostStatus", [.agent], budget: .reporting),
        ]
    }

    private static let entries: [MethodRule] = service("spire.api.server.entry.v1.Entry") {
        [
            .init("\($0)/CountEntries", staff, .view),
            .init("\($0)/ListEntries", staff, .view),
            .init("\($0)/GetEntry", staff, .view),
            .init("\($0)/BatchCreateEntry", staff, .register),
            .init("\($0)/BatchUpdateEntry", staff, .register),
            .init("\($0)/BatchDeleteEntry", staff, .register),
            .init("\($0)/GetAuthorizedEntries", [.agent], budget: .reading),
            .init("\($0)/SyncAuthorizedEntries", [.agent], budget: .reading),
        ]
    }

    private static let svids: [MethodRule] = service("spire.api.server.svid.v1.SVID") {
        [
            .init("\($0)/MintX509SVID", staff, .administer, budget: .signing, issues: true),
            .init("\($0)/MintJWTSVID", staff, .administer, budget: .signing, issues: true),
            .init("\($0)/MintWITSVID", staff, .administer, budget: .signing, issues: true),
            .init("\($0)/BatchNewX509SVID", [.agent], budget: .signing, issues: true),
            .init("\($0)/NewJWTSVID", [.agent], budget: .signing, issues: true),
            .init("\($0)/BatchNewWITSVID", [.agent], budget: .signing, issues: true),
            .init("\($0)/NewDownstreamX509CA", [.downstream], budget: .signing, issues: true),
        ]
    }

    private static let bundles: [MethodRule] = service("spire.api.server.bundle.v1.Bundle") {
        [
            .init("\($0)/GetBundle", [.any], .view, budget: .reading),
            .init("\($0)/CountBundles", staff, .view),
            .init("\($0)/AppendBundle", staff, .administer),
            .init("\($0)/PublishJWTAuthority", [.downstream], budget: .signing),
            .init("\($0)/PublishWITAuthority", [.downstream], budget: .signing),
            .init("\($0)/ListFederatedBundles", staff, .view),
            .init("\($0)/GetFederatedBundle", staff.union([.agent]), .view, budget: .reading),
            .init("\($0)/BatchCreateFederatedBundle", staff, .operate),
            .init("\($0)/BatchUpdateFederatedBundle", staff, .operate),
            .init("\($0)/BatchSetFederatedBundle", staff, .operate),
            .init("\($0)/BatchDeleteFederatedBundle", staff, .operate),
        ]
    }

    private static let federation: [MethodRule] = service("spire.api.server.trustdomain.v1.TrustDomain") {
        [
            .init("\($0)/ListFederationRelationships", staff, .view),
            .init("\($0)/GetFederationRelationship", staff, .view),
            .init("\($0)/BatchCreateFederationRelationship", staff, .operate),
            .init("\($0)/BatchUpdateFederationRelationship", staff, .operate),
            .init("\($0)/BatchDeleteFederationRelationship", staff, .operate),
            .init("\($0)/RefreshBundle", staff, .operate),
        ]
    }

    private static let authorities: [MethodRule] = service("spire.api.server.localauthority.v1.LocalAuthority") {
        service in
        let kinds = ["JWTAuthority", "X509Authority", "WITAuthority"]
        return kinds.flatMap { kind -> [MethodRule] in
            [
                .init("\(service)/Get\(kind)State", staff, .view),
                .init("\(service)/Prepare\(kind)", staff, .authorities),
                .init("\(service)/Activate\(kind)", staff, .authorities),
                .init("\(service)/Taint\(kind)", staff, .authorities, needsTwo: true),
                .init("\(service)/Revoke\(kind)", staff, .authorities, needsTwo: true),
            ]
        } + [
            .init("\(service)/TaintX509UpstreamAuthority", staff, .authorities, needsTwo: true),
            .init("\(service)/RevokeX509UpstreamAuthority", staff, .authorities, needsTwo: true),
        ]
    }

    private static let operations: [MethodRule] = [
        .init("spire.api.server.logger.v1.Logger/GetLogger", [.local], .view),
        .init("spire.api.server.logger.v1.Logger/SetLogLevel", [.local], .operate),
        .init("spire.api.server.logger.v1.Logger/ResetLogLevel", [.local], .operate),
        .init("spire.api.server.debug.v1.Debug/GetInfo", [.local], .view),
        .init("grpc.health.v1.Health/Check", staff, .view),
        .init("grpc.health.v1.Health/List", staff, .view),
        .init("grpc.health.v1.Health/Watch", staff, .view),
        .init("grpc.reflection.v1.ServerReflection/ServerReflectionInfo", staff, .view),
        .init("grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", staff, .view),
    ]

    private static let own: [MethodRule] = [
        .init("mintmark.v1.Registration/CreateEntries", staff, .register),
        .init("mintmark.v1.Registration/UpdateEntries", staff, .register),
        .init("mintmark.v1.Registration/GetEntry", staff, .view),
        .init("mintmark.v1.Registration/ListEntries", staff, .view),
        .init("mintmark.v1.Declarations/Apply", staff, .register),
        .init("mintmark.v1.Declarations/Lint", staff, .view, budget: .querying),
        .init("mintmark.v1.DigestSets/Create", staff, .register),
        .init("mintmark.v1.DigestSets/AddVersion", staff, .register),
        .init("mintmark.v1.DigestSets/Get", staff, .view),
        .init("mintmark.v1.DigestSets/List", staff, .view),
        .init("mintmark.v1.DigestSets/Delete", staff, .register),
        .init("mintmark.v1.TemplatedSVIDs/BatchNewX509SVID", [.agent], budget: .signing, issues: true),
        .init("mintmark.v1.TemplatedSVIDs/NewJWTSVID", [.agent], budget: .signing, issues: true),
        .init("mintmark.v1.Nodes/RegisterNodeKey", [.agent], budget: .reporting),
        .init("mintmark.v1.Nodes/GetStatus", staff, .view),
        .init("mintmark.v1.Nodes/GetRollback", staff, .view),
        .init("mintmark.v1.Nodes/AcceptRollback", staff, .administer),
        .init("mintmark.v1.Federation/ListStatuses", staff, .view),
        .init("mintmark.v1.AuthorizedEntries/Sync", [.agent], budget: .reading),
        .init("mintmark.v1.Propagation/Follow", [.agent]),
        .init("mintmark.v1.Propagation/AwaitEntry", staff, .view),
        .init("mintmark.v1.Propagation/AwaitCurrent", staff, .view),
        .init("mintmark.v1.Incidents/Report", [.agent], budget: .reporting),
        .init("mintmark.v1.Audit/Query", staff, .view, budget: .querying),
        .init("mintmark.v1.Approvals/List", staff, .view),
        .init("mintmark.v1.Approvals/Approve", staff, .authorities),
        .init("mintmark.v1.Approvals/Deny", staff, .authorities),
        .init("mintmark.v1.Limits/Get", staff, .view),
    ]

    private static func service(_ name: String, _ rows: (String) -> [MethodRule]) -> [MethodRule] { rows(name) }
}
