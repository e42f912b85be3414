internal import Bootstrap
internal import GRPCCore
internal import GRPCNIOTransportHTTP2Posix
internal import IssuerAPIProtos
internal import SwiftProtobuf

/// Waits for agents, for those who asked to.
enum EntryPropagation {
    /// How long `--wait` waits.
    private static let patience = Duration.seconds(30)

    /// Asks how agents stand once all that are connected have what is registered now, or when patience ends.
    static func standing(
        _ client: GRPCClient<HTTP2ClientTransport.Posix>
    ) async throws -> Mintmark_V1_AwaitEntryResponse {
        try await Mintmark_V1_Propagation.Client(wrapping: client).awaitCurrent(
            .with { $0.timeoutMs = UInt32(patience.components.seconds * 1000) })
    }

    /// - Throws: ``Failure`` when a connected agent is still behind.
    static func check(_ standing: Mintmark_V1_AwaitEntryResponse, done: String) throws(Failure) {
        guard standing.complete else {
            let behind = standing.agents.filter { $0.following && !$0.applied }.map(\.spiffeID)
            throw Failure(
                .refused, "\(done), but \(behind.joined(separator: ", ")) did not take it over in time",
                hint: "see the agent's log; it will take it over when it can")
        }
        for agent in standing.agents where !agent.following {
            Terminal.complain("note: \(agent.spiffeID) is not connected; it will take it over when it is")
        }
    }
}
