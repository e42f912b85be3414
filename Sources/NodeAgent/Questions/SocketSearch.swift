internal import Dispatch
internal import LinuxKernel

/// Finds who holds a socket.
///
/// Looks through every process, on a thread that is nobody else's.
enum SocketSearch {
    /// A process, and how it holds the socket.
    struct Holder: Hashable, Sendable {
        let pid: Int32
        let role: String
    }

    private static let thread = DispatchQueue(label: "mintmark.socket-search")

    /// Who listens at a local TCP port, or has a connection from it.
    static func holders(ofPort port: UInt16) async -> [Holder] {
        await search {
            let rows = ["tcp", "tcp6"].flatMap { TCPSocketTable(SocketOwners.table($0)).rows }
                .filter { $0.localPort == port }
            let roles = rows.map { row in
                (row.inode, row.isListening ? "listens at port \(port)" : "connected from port \(port)")
            }
            return Dictionary(roles) { first, _ in first }
        }
    }

    /// Who listens on a Unix socket.
    static func holders(ofPath path: String) async -> [Holder] {
        await search {
            let rows = UnixSocketTable(SocketOwners.table("unix")).rows
                .filter { $0.path.utf8.elementsEqual(path.utf8) && $0.isListening }
            return Dictionary(rows.map { ($0.inode, "listens at \(path)") }) { first, _ in first }
        }
    }

    /// Who is at the other end of a connected Unix socket.
    static func holders(ofPeerOf inode: UInt64) async -> [Holder] {
        await search {
            guard let peer = try? UnixPeerQuery.peer(of: inode), peer != 0 else { return [:] }
            return [peer: "connected to socket \(inode)"]
        }
    }

    private static func search(_ roles: @escaping @Sendable () -> [UInt64: String]) async -> [Holder] {
        await withCheckedContinuation { done in
            thread.async {
                let roles = roles()
                var holders: [Holder] = []
                for owner in SocketOwners.holding(Set(roles.keys)) {
                    let holder = Holder(pid: owner.pid, role: roles[owner.inode] ?? "")
                    if holders.last?.pid != holder.pid { holders.append(holder) }
                }
                done.resume(returning: holders)
            }
        }
    }
}
