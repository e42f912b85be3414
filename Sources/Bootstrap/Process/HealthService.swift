package import GRPCCore
package import HealthProtos
internal import SwiftProtobuf

/// `grpc.health.v1.Health`, for any server of this system.
package struct HealthService: Grpc_Health_V1_Health.SimpleServiceProtocol {
    private let isServing: @Sendable () async -> Bool

    /// Creates the service.
    ///
    /// - Parameter isServing: Asked at each check.
    package init(isServing: @escaping @Sendable () async -> Bool) { self.isServing = isServing }

    package func check(
        request: Grpc_Health_V1_HealthCheckRequest, context: ServerContext
    ) async throws -> Grpc_Health_V1_HealthCheckResponse {
        guard request.service.isEmpty else { throw RPCError(code: .notFound, message: "unknown service") }
        return await now
    }

    package func list(
        request: Grpc_Health_V1_HealthListRequest, context: ServerContext
    ) async throws -> Grpc_Health_V1_HealthListResponse {
        let now = await now
        return .with { $0.statuses = ["": now] }
    }

    private var now: Grpc_Health_V1_HealthCheckResponse {
        get async {
            let isServing = await isServing()
            return .with { $0.status = isServing ? .serving : .notServing }
        }
    }

    package func watch(
        request: Grpc_Health_V1_HealthCheckRequest, response: RPCWriter<Grpc_Health_V1_HealthCheckResponse>,
        context: ServerContext
    ) async throws {
        var last: Grpc_Health_V1_HealthCheckResponse.ServingStatus?
        while !context.cancellation.isCancelled {
            let known = request.service.isEmpty
            let status: Grpc_Health_V1_HealthCheckResponse.ServingStatus =
                known ? (await isServing() ? .serving : .notServing) : .serviceUnknown
            if status != last { try await response.write(.with { $0.status = status }) }
            last = status
            try await Task.sleep(for: .seconds(1))
        }
    }
}
