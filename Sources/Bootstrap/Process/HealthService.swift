package import GRPCCore
package import HealthProtos
internal import SwiftProtobuf

/// `grpc.health.v1.Health`, for any server of this system.
package struct HealthService: Grpc_Health_V1_Health.SimpleServiceProtocol {
    private let isServing: @Sendable () async -> Bool
    private let parts: [String: @Sendable () async -> Bool]

    /// Creates the service.
    ///
    /// - Parameters:
    ///   - parts: Services of their own names, each of which can fail while the rest goes on.
    ///   - isServing: Asked at each check.
    package init(
        parts: [String: @Sendable () async -> Bool] = [:], isServing: @escaping @Sendable () async -> Bool
    ) {
        (self.parts, self.isServing) = (parts, isServing)
    }

    package func check(
        request: Grpc_Health_V1_HealthCheckRequest, context: ServerContext
    ) async throws -> Grpc_Health_V1_HealthCheckResponse {
        let status = await status(of: request.service)
        guard status != .serviceUnknown else { throw RPCError(code: .notFound, message: "unknown service") }
        return .with { $0.status = status }
    }

    package func list(
        request: Grpc_Health_V1_HealthListRequest, context: ServerContext
    ) async throws -> Grpc_Health_V1_HealthListResponse {
        var statuses: [String: Grpc_Health_V1_HealthCheckResponse] = [:]
        for service in [""] + parts.keys.sorted() {
            let status = await status(of: service)
            statuses[service] = .with { $0.status = status }
        }
        return .with { [statuses] in $0.statuses = statuses }
    }

    package func watch(
        request: Grpc_Health_V1_HealthCheckRequest, response: RPCWriter<Grpc_Health_V1_HealthCheckResponse>,
        context: ServerContext
    ) async throws {
        var last: Grpc_Health_V1_HealthCheckResponse.ServingStatus?
        while !context.cancellation.isCancelled {
            let status = await status(of: request.service)
            if status != last { try await response.write(.with { $0.status = status }) }
            last = status
            try await Task.sleep(for: .seconds(1))
        }
    }

    private func status(of service: String) async -> Grpc_Health_V1_HealthCheckResponse.ServingStatus {
        guard let check = service.isEmpty ? isServing : parts[service] else { return .serviceUnknown }
        return await check() ? .serving : .notServing
    }
}
