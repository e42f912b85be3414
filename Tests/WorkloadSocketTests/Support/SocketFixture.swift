import Foundation
import Glibc
import GRPCWire
import LinuxKernel
import Logging
import Platform
import Synchronization
import Testing
import WorkloadSocket

/// A handler that notes what it is given, and does what a test says.
final class RecordingHandler: CallHandler {
    struct Notes {
        var accepted = 0
        var gathered = 0
        var answered = 0
        var closed = 0
        var calls: [WorkloadCall] = []
    }

    let notes = Mutex(Notes())
    private let onGather: @Sendable (WorkloadCall) -> Void
    private let onAnswer: @Sendable (WorkloadCall) -> Void

    init(
        onGather: @escaping @Sendable (WorkloadCall) -> Void = { _ in },
        onAnswer: @escaping @Sendable (WorkloadCall) -> Void = { $0.finish(with: $0.message) }
    ) {
        (self.onGather, self.onAnswer) = (onGather, onAnswer)
    }

    func accepted(_ connection: WorkloadConnection) { notes.withLock { $0.accepted += 1 } }

    func gather(_ calls: [WorkloadCall]) {
        for call in calls { gather(call) }
    }

    private func gather(_ call: WorkloadCall) {
        notes.withLock {
            $0.gathered += 1
            $0.calls.append(call)
        }
        onGather(call)
    }

    func answer(_ call: WorkloadCall) {
        notes.withLock { $0.answered += 1 }
        onAnswer(call)
    }

    func closed(_ connection: WorkloadConnection) { notes.withLock { $0.closed += 1 } }
}

/// A server in this process for the time of one test.
struct SocketFixture {
    let server: WorkloadServer
    let path: String

    /// Runs a test against a server; fails it if the server does not stop.
    static func with(
        _ handler: RecordingHandler, adjust: (inout SocketSettings) -> Void = { _ in },
        _ body: (SocketFixture) async throws -> Void
    ) async throws {
        var settings = SocketSettings(cores: 2, descriptors: 4096)
        settings.tick = .milliseconds(20)
        adjust(&settings)
        let path = "/tmp/mintmark-socket-\(getpid())-\(UInt32.random(in: 0 ... .max))"
        let server = try WorkloadServer(
            listener: try ListeningSocket(path: path, mode: 0o666), table: Machine.table, settings: settings,
            handler: handler, entropy: SystemEntropy(), logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        defer { unlink(path) }
        // Tests block their threads, so the server must not depend on the pool they come from.
        try server.start()
        defer { server.shutDown(within: .zero) }
        try await body(SocketFixture(server: server, path: path))
        server.shutDown(within: .seconds(1))
        await server.stopped()
    }

    func connect() throws -> TestClient { try TestClient(path) }

    private final class Outcome: Sendable { let value = Mutex<Result<Int32, any Error>?>(nil) }

    /// Connects as another user.
    ///
    /// Only one thread of its own changes its ids: the C library would change them all.
    func connect(as uid: Int) throws -> TestClient {
        typealias SystemCall = @convention(c) (Int, Int, Int, Int) -> Int
        #if arch(arm64)
            let setresuid = 147
        #else
            let setresuid = 117
        #endif
        let systemCall = unsafeBitCast(
            try #require(dlsym(dlopen(nil, RTLD_NOW), "syscall")), to: SystemCall.self)
        let (path, done) = (path, DispatchSemaphore(value: 0))
        let result = Outcome()
        Thread {
            let isChanged = systemCall(setresuid, -1, uid, -1) == 0
            let made = Result {
                guard isChanged else { throw LinuxError("setresuid") }
                return try TestClient.connected(path)
            }
            result.value.withLock { $0 = made }
            done.signal()
        }.start()
        done.wait()
        return TestClient(owning: try #require(result.value.withLock { $0 }).get())
    }

    /// Waits until something holds, for a few seconds.
    func eventually(_ what: Comment, _ holds: () -> Bool) async throws {
        for _ in 0..<500 {
            if holds() { return }
            try await Task.sleep(for: .milliseconds(10))
        }
        #expect(holds(), what)
    }
}

/// One end of a connection, with the frames that have come.
final class TestClient {
    let descriptor: Int32
    private var received: [UInt8] = []

    convenience init(_ path: String) throws { self.init(owning: try Self.connected(path)) }

    init(owning descriptor: Int32) {
        self.descriptor = descriptor
        var patience = timeval(tv_sec: 5, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
    }

    static func connected(_ path: String) throws -> Int32 {
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let result = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard result == 0 else {
            let error = LinuxError("connect")
            close(descriptor)
            throw error
        }
        return descriptor
    }

    deinit { close(descriptor) }

    func write(_ bytes: [UInt8]) throws {
        var sent = 0
        while sent < bytes.count {
            let count = bytes[sent...].withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { throw LinuxError("send") }
            sent += count
        }
    }

    /// The next frame; nil at the end of the connection, and when none comes for five seconds.
    func next() -> Wire.Frame? {
        while true {
            if let frame = Wire.frames(received).frames.first {
                received.removeFirst(9 + frame.payload.count)
                return frame
            }
            var buffer = [UInt8](repeating: 0, count: 65536)
            let count = recv(descriptor, &buffer, buffer.count, 0)
            guard count > 0 else { return nil }
            received += buffer.prefix(count)
        }
    }

    /// The next frame but SETTINGS; PINGs are answered like any client does, if at all.
    func nextAnswer(answeringPings: Bool = true) throws -> Wire.Frame? {
        while let frame = next() {
            if frame.type == 4 { continue }
            if frame.type == 6, frame.flags == 0 {
                if answeringPings { try write(Wire.frame(6, 1, 0, frame.payload)) }
                continue
            }
            return frame
        }
        return nil
    }

    /// Waits for the next PING.
    func nextPing() -> [UInt8]? {
        while let frame = next() { if frame.type == 6, frame.flags == 0 { return frame.payload } }
        return nil
    }

    /// The status that ends a stream.
    func status(of stream: UInt32, answeringPings: Bool = true) throws -> String? {
        while let frame = try nextAnswer(answeringPings: answeringPings) {
            guard frame.type == 1, frame.flags & 1 != 0, frame.stream == stream else { continue }
            return try Wire.decoded(frame.payload)["grpc-status"]
        }
        return nil
    }
}
