internal import Bootstrap
internal import GRPCCore
internal import LinuxKernel
internal import NIOCore
internal import Synchronization
internal import WorkloadAttestation

/// What the workload socket knows of a connection: the process at the other end.
struct WorkloadPeer: ServerContext.TransportSpecific {
    let process: PeerProcess
}

/// Admits connections to the workload socket: pins the process, and bounds how many one user may hold.
struct WorkloadDoor: Sendable {
    /// ENOPROTOOPT.
    private static let protocolOptionMissing: CInt = 92

    private let counter: ConnectionCounter

    /// Opens the door.
    ///
    /// - Parameter limit: The most connections of one uid.
    init(limit: Int = 4096) { counter = ConnectionCounter(limit: limit) }

    func accept(_ channel: any Channel) -> EventLoopFuture<WorkloadPeer> {
        PeerCredentialsReader.read(from: channel).flatMap { credentials in
            guard counter.enter(credentials.uid) else {
                return channel.eventLoop.makeFailedFuture(LinuxError("too many connections of one user", code: 11))
            }
            channel.closeFuture.whenComplete { _ in counter.leave(credentials.uid) }
            return PeerCredentialsReader.readPidfd(from: channel)
                .flatMapThrowing { try ProcessHandle(owning: $0, pid: credentials.pid) }
                .flatMapErrorThrowing { error in
                    // Kernels before 6.5 have no SO_PEERPIDFD: open by number, and rely on the ids agreeing later.
                    // Any other error means that the process is gone, and its number may be another's.
                    guard (error as? IOError)?.errnoCode == Self.protocolOptionMissing else { throw error }
                    return try ProcessHandle(pid: credentials.pid)
                }
                .map { WorkloadPeer(process: PeerProcess(credentials: credentials, handle: $0)) }
        }
    }
}

/// Counts open connections by uid.
private final class ConnectionCounter: Sendable {
    private let limit: Int
    private let open = Mutex<[UInt32: Int]>([:])

    init(limit: Int) { self.limit = limit }

    func enter(_ uid: UInt32) -> Bool {
        open.withLock {
            guard ($0[uid] ?? 0) < limit else { return false }
            $0[uid, default: 0] += 1
            return true
        }
    }

    func leave(_ uid: UInt32) {
        open.withLock {
            let rest = ($0[uid] ?? 1) - 1
            $0[uid] = rest > 0 ? rest : nil
        }
    }
}
