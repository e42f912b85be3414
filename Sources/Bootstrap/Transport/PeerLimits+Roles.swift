package import GRPCConnections

extension PeerLimits {
    /// For workloads: many, local, unknown.
    package static let workloads = PeerLimits(concurrentCalls: 100, requestBytes: 256 << 10)

    /// For agents and admins.
    package static let issuer = PeerLimits(concurrentCalls: 1000, requestBytes: 4 << 20)
}
