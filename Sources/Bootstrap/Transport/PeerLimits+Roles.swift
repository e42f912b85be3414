package import GRPCConnections

extension PeerLimits {
    /// For agents and admins.
    package static let issuer = PeerLimits(concurrentCalls: 1000, requestBytes: 4 << 20)
}
