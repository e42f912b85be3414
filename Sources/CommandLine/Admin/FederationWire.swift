internal import GRPCCore
internal import GRPCNIOTransportHTTP2Posix
internal import IssuerAPIProtos
internal import SPIFFE
internal import SwiftProtobuf

/// Between flags and the wire.
enum FederationWire {
    static func profile(
        _ profile: FederationCommand.Profile, _ id: SPIFFEID?
    ) -> Spire_Api_Types_FederationRelationship.OneOf_BundleEndpointProfile {
        switch profile {
        case .web: .httpsWeb(.init())
        case .spiffe: .httpsSpiffe(.with { $0.endpointSpiffeID = id.map { "\($0)" } ?? "" })
        }
    }

    /// How relationships fare, by trust domain; empty with a server that does not tell.
    static func statuses(
        _ client: GRPCClient<HTTP2ClientTransport.Posix>
    ) async throws -> [String: Mintmark_V1_FederationStatus] {
        do {
            let statuses = try await Mintmark_V1_Federation.Client(wrapping: client).listStatuses(.init()).statuses
            return Dictionary(statuses.map { ($0.trustDomain, $0) }, uniquingKeysWith: { one, _ in one })
        } catch let error as RPCError where error.code == .unimplemented { return [:] }
    }
}
