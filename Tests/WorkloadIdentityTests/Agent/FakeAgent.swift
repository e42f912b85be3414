import Foundation
import GRPCCore
import GRPCNIOTransportHTTP2Posix
import SPIFFE
import Synchronization
import TestSupport
import WorkloadIdentity

/// A workload endpoint that issues nothing and plays scripts, byte for byte.
///
/// Steps wait for signals of the test, never for time.
final class FakeAgent: RegistrableRPCService {
    /// The methods of the Workload API, as they are called on the wire.
    enum Method: String, CaseIterable, Sendable {
        case x509SVID = "FetchX509SVID"
        case x509Bundles = "FetchX509Bundles"
        case jwtSVID = "FetchJWTSVID"
        case jwtBundles = "FetchJWTBundles"
        case validateJWTSVID = "ValidateJWTSVID"
    }

    /// What to do next on a stream; one whose steps are over ends well.
    enum Step: Sendable {
        /// One message of these bytes.
        case send([UInt8])
        /// These messages in turn, as fast as the other side takes them.
        case flood([[UInt8]], count: Int)
        /// Nothing, until the test says so or the caller is gone.
        case wait(Signal)
        /// Nothing, until the caller is gone.
        case hang
        /// A status other than OK.
        case end(RPCError.Code, String = "as the script has it")
    }

    /// Calls by method, once they have begun.
    let calls = Ledger<Method>()

    /// Calls whose caller went away, by method.
    let departures = Ledger<Method>()

    private struct State {
        var scripts: [Method: [[Step]]] = [:]
        var metadata: [Metadata] = []
        /// The calls under way, each with the signal that ends its waiting.
        var open: [Int: Signal] = [:]
        var nextCall = 0
        var isStopped = false
    }

    private let state = Mutex(State())

    /// The metadata of every call so far.
    var metadata: [Metadata] { state.withLock { $0.metadata } }

    /// Says how the calls of a method go: the first as the first script, the last script for all that follow.
    func play(_ method: Method = .x509SVID, _ scripts: [Step]...) {
        state.withLock { $0.scripts[method] = scripts }
    }

    /// Runs a body with an agent on a socket of its own, and with options that lead a source there.
    static func run(
        timeout: Duration = .seconds(30), backoff: Backoff = .quick,
        _ body: (FakeAgent, SourceOptions) async throws -> Void
    ) async throws {
        try await TemporaryFolder.use { folder in
            let agent = FakeAgent()
            try await agent.serve(at: "\(folder)/agent.sock") {
                try await body(agent, .reaching("\(folder)/agent.sock", timeout: timeout, backoff: backoff))
            }
        }
    }

    /// Listens for as long as the body runs, then ends every call.
    ///
    /// In good order: a server that is cancelled traps when a call comes in at that moment.
    func serve(at path: String, during body: () async throws -> Void) async throws {
        try? FileManager.default.removeItem(atPath: path)
        let server = GRPCServer(
            transport: HTTP2ServerTransport.Posix(
                address: .unixDomainSocket(path: path), transportSecurity: .plaintext), services: [self])
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await server.serve() }
            _ = try await server.listeningAddress
            let outcome: Result<Void, any Error>
            do { outcome = .success(try await body()) } catch { outcome = .failure(error) }
            server.beginGracefulShutdown()
            stop()
            try await group.waitForAll()
            try outcome.get()
        }
    }

    func registerMethods<Transport: ServerTransport>(with router: inout RPCRouter<Transport>) {
        for method in Method.allCases {
            router.registerHandler(
                forMethod: MethodDescriptor(fullyQualifiedService: "SpiffeWorkloadAPI", method: method.rawValue),
                deserializer: RawBytes(), serializer: RawBytes()
            ) { request, _ in self.answer(method, request) }
        }
    }

    private func answer(
        _ method: Method, _ request: StreamingServerRequest<[UInt8]>
    ) -> StreamingServerResponse<[UInt8]> {
        let script = state.withLock { state in
            state.metadata.append(request.metadata)
            guard var scripts = state.scripts[method], let script = scripts.first else {
                return [Step.end(.unimplemented, "no script")]
            }
            if scripts.count > 1 { scripts.removeFirst() }
            state.scripts[method] = scripts
            return script
        }
        calls.add(method)
        // A status with nothing before it goes out as trailers alone.
        if case .end(let code, let message)? = script.first {
            return StreamingServerResponse(error: RPCError(code: code, message: message))
        }
        return StreamingServerResponse { writer in
            let (call, gone) = self.begin()
            defer { self.end(call) }
            try await withRPCCancellationHandler {
                try await self.perform(script, method, writer, gone)
            } onCancelRPC: {
                self.departures.add(method)
                gone.fire()
            }
            return [:]
        }
    }

    private var isStopped: Bool { state.withLock { $0.isStopped } }

    private func begin() -> (call: Int, gone: Signal) {
        let gone = Signal()
        return state.withLock { state in
            if state.isStopped { gone.fire() }
            state.nextCall += 1
            state.open[state.nextCall] = gone
            return (state.nextCall, gone)
        }
    }

    private func end(_ call: Int) { state.withLock { $0.open[call] = nil } }

    private func stop() {
        let open = state.withLock { state in
            state.isStopped = true
            return state.open.values
        }
        for gone in open { gone.fire() }
    }

    private func perform(
        _ script: [Step], _ method: Method, _ writer: RPCWriter<[UInt8]>, _ gone: Signal
    ) async throws {
        for step in script {
            switch step {
            case .send(let bytes): try await writer.write(bytes)
            case .flood(let messages, let count):
                for number in 0..<count where !isStopped { try await writer.write(messages[number % messages.count]) }
            case .wait(let signal):
                await withTaskGroup(of: Void.self) { group in
                    group.addTask { await signal.wait() }
                    group.addTask { await gone.wait() }
                    await group.next()
                    group.cancelAll()
                }
            case .hang: await gone.wait()
            case .end(let code, let message): throw RPCError(code: code, message: message)
            }
            if isStopped { throw RPCError(code: .unavailable, message: "the agent stops") }
        }
    }
}

/// Messages as the bytes they are.
private struct RawBytes: MessageSerializer, MessageDeserializer {
    func serialize<Bytes: GRPCContiguousBytes>(_ message: [UInt8]) throws -> Bytes { Bytes(message) }

    func deserialize<Bytes: GRPCContiguousBytes>(_ bytes: Bytes) throws -> [UInt8] {
        bytes.withUnsafeBytes { Array($0) }
    }
}

extension Backoff {
    /// Pauses that a test does not notice.
    static let quick = Backoff(initial: .milliseconds(1), maximum: .milliseconds(8))

    /// Pauses that no test outlives: whoever has to wait for one hangs.
    static let endless = Backoff(initial: .seconds(100_000), maximum: .seconds(100_000), steady: .zero)
}

extension SourceOptions {
    /// Options that lead to a socket.
    static func reaching(
        _ path: String, timeout: Duration = .seconds(30), backoff: Backoff = .quick
    ) throws -> SourceOptions {
        var options = SourceOptions(endpoint: try WorkloadEndpoint("unix://\(path)"), timeout: timeout)
        options.backoff = backoff
        return options
    }

    /// The same options, with a log that can be read.
    func logging(to watch: LogWatch) -> SourceOptions {
        var options = self
        options.logger = watch.logger()
        return options
    }
}
