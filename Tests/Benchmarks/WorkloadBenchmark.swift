import Foundation
import GRPCCore
import GRPCNIOTransportHTTP2Posix
import SPIFFE
import WorkloadAPIProtos
import WorkloadIdentity

/// What a workload waits for, through the socket, with the client on the same cores.
enum WorkloadBenchmark {
    private static let metadata: Metadata = ["workload.spiffe.io": "true"]

    static func run(endpoint: String, count: Int) async throws -> [Measurement] {
        guard case .unix(let path) = try WorkloadEndpoint(endpoint) else { throw CocoaError(.featureUnsupported) }
        let client = WorkloadAPIClient(endpoint: .unix(path: path))
        var results = [
            try await Meter.serial("new connection -> first X.509-SVID (cached)", count: count) { _ in
                _ = try await client.fetchX509SVIDs()
            }
        ]
        let transport = try HTTP2ClientTransport.Posix(
            target: .unixDomainSocket(path: path), transportSecurity: .plaintext)
        results += try await withGRPCClient(transport: transport) { grpc in
            let api = WorkloadSpiffeWorkloadAPI.Client(wrapping: grpc)
            return [
                // Taking one message and leaving resets the stream; the server cuts a connection that resets more than
                // 200 in half a minute, so this row has few samples.
                try await Meter.serial("open connection -> first X.509-SVID (cached)", count: 150) { _ in
                    try await api.fetchX509SVID(.init(), metadata: metadata) { response in
                        for try await _ in response.messages { return }
                    }
                },
                try await Meter.serial("JWT-SVID, cached", count: count) { _ in
                    _ = try await api.fetchJWTSVID(.with { $0.audience = ["bench"] }, metadata: metadata)
                },
                try await Meter.serial("JWT-SVID, issued", count: count) { number in
                    _ = try await api.fetchJWTSVID(.with { $0.audience = ["bench-\(number)"] }, metadata: metadata)
                },
            ]
        }
        return results
    }
}
