package import GRPCConnections

extension PeerLimits {
    /// For admins on the same machine.
    package static let issuer = PeerLimits(concurrentCalls: 1000, requestBytes: 4 << 20)

    /// For agents and admins elsewhere, who are verified once for each connection.
    ///
    /// The age ends no call: whoever follows something goes on until the end, and makes other calls on a new connection.
    package static let issuerNetwork = PeerLimits(
        concurrentCalls: 1000, requestBytes: 4 << 20, connectionAge: .seconds(180))
}
