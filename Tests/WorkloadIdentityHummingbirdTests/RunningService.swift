import HTTPTypes
import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import SPIFFE
import Synchronization
import Testing
import TestSupport
import WorkloadIdentity
import WorkloadIdentityHummingbird
import X509

/// A Hummingbird service on a loopback port, for as long as a test needs it.
struct RunningService: Sendable {
    let port: Int
    let logs: LogCollector
    private let handled: Counter

    /// How many requests reached the handler.
    var handledRequests: Int { handled.value }

    /// Runs a service whose `/whoami` says who calls and how that was proven.
    static func with(
        _ server: HTTPServerBuilder, accepting proof: CallerProof = .certificate,
        authorizing authorizer: PeerAuthorizer = .any, _ body: @Sendable (RunningService) async throws -> Void
    ) async throws {
        let logs = LogCollector()
        let handled = Counter()
        let router = Router()
        router.add(middleware: PeerIdentityMiddleware(proof, authorizing: authorizer))
        router.get("whoami") { _, _ in
            handled.increment()
            let caller = try PeerIdentity.required()
            switch caller.proof {
            case .x509(let svid): return "\(caller) x509 \(svid.leaf.serialNumber)"
            case .jwt: return "\(caller) jwt"
            }
        }
        let (ports, promise) = AsyncStream.makeStream(of: Int.self)
        let app = Application(
            router: router, server: server, configuration: .init(address: .hostname("127.0.0.1", port: 0)),
            onServerRunning: { channel in
                promise.yield(channel.localAddress?.port ?? 0)
                promise.finish()
            }, logger: logs.logger())
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await app.run() }
            var iterator = ports.makeAsyncIterator()
            let port = try #require(await iterator.next())
            let service = RunningService(port: port, logs: logs, handled: handled)
            try await body(service)
            group.cancelAll()
            // The cancelled server is not what the test is about.
            while let _ = try? await group.next() {}
        }
    }
}

/// A number that many may increase.
final class Counter: Sendable {
    private let count = Mutex(0)

    var value: Int { count.withLock { $0 } }

    func increment() { count.withLock { $0 += 1 } }
}
