internal import GRPCWire
internal import HealthProtos
internal import SwiftProtobuf

/// The messages of `grpc.health.v1.Health`, serialised.
enum HealthMessages {
    /// The service that a request asks about; empty for the whole server.
    static func service(_ bytes: [UInt8]) throws(CallStatus) -> String {
        do { return try Grpc_Health_V1_HealthCheckRequest(serializedBytes: bytes).service } catch {
            throw CallStatus(.invalidArgument, "request is not a well-formed message")
        }
    }

    static func status(_ status: Grpc_Health_V1_HealthCheckResponse.ServingStatus) -> [UInt8] {
        (try? Grpc_Health_V1_HealthCheckResponse.with { $0.status = status }.serializedBytes()) ?? []
    }
}
