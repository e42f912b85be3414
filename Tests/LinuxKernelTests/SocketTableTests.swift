import Foundation
import Glibc
import LinuxKernel
import Testing

@Suite struct SocketTableTests {
    private static let header =
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"

    @Test func readsListenersAndConnections() {
        let table = TCPSocketTable(
            Self.header
                + "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000  0 4321 1 0\n"
                + "   1: 0100007F:1F90 0100007F:C350 01 00000000:00000000 00:00000000 00000000  1000  0 99 1 0\n")
        #expect(table.rows.map(\.localPort) == [8080, 8080])
        #expect(table.rows.map(\.isListening) == [true, false])
        #expect(table.rows.map(\.remotePort) == [0, 50_000])
        #expect(table.rows.map(\.inode) == [4321, 99])
    }

    @Test(arguments: [
        "", "x", "   0: 0100007F 00000000:0000 0A a b c d e 12", "0: 1:FFFFF 1:1 0A a a a a a 5 5",
        "0: 1:1 1:1 0A a a a a a -5 5", "0: 1:1 1:1 0A a a a a a 99999999999999999999999 5",
    ])
    func linesThatAreNotUnderstoodAreLeftOut(line: String) {
        #expect(TCPSocketTable(Self.header + line + "\n").rows.isEmpty)
    }

    @Test func aUnixPathMayHoldSpaces() {
        let table = UnixSocketTable(
            "Num       RefCount Protocol Flags    Type St Inode Path\n"
                + "0000000000000000: 00000002 00000000 00010000 0001 01 777 /run/a b.sock\n"
                + "0000000000000000: 00000003 00000000 00000000 0001 03 778\n"
                + "0000000000000000: 00000003 00000000 00000000 0001 03 779 /run/a b.sock\n")
        #expect(table.rows.map(\.path) == ["/run/a b.sock", "/run/a b.sock"])
        #expect(table.rows.map(\.isListening) == [true, false])
        #expect(table.rows.map(\.inode) == [777, 779])
    }

    @Test func findsItsOwnSocketAndTheOtherEnd() throws {
        var ends: [Int32] = [0, 0]
        try #require(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &ends) == 0)
        defer { ends.forEach { close($0) } }
        let inodes = try ends.map { end in
            let link = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\(end)")
            return try #require(UInt64(link.dropFirst("socket:[".count).dropLast()))
        }
        let owners = SocketOwners.holding([inodes[0]])
        #expect(owners.contains { $0.pid == getpid() && $0.inode == inodes[0] })
        #expect(try UnixPeerQuery.peer(of: inodes[0]) == inodes[1])
        #expect(try UnixPeerQuery.peer(of: inodes[1]) == inodes[0])
        #expect(try UnixPeerQuery.peer(of: UInt64(UInt32.max)) == nil)
        #expect(try UnixPeerQuery.peer(of: .max) == nil)
    }

    @Test func aTableIsReadWhole() throws {
        var sockets: [Int32] = []
        defer { sockets.forEach { close($0) } }
        // More rows than a page, or a few, have room for.
        let ports = try (0..<400).map { _ in
            let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            try #require(descriptor >= 0)
            sockets.append(descriptor)
            var (address, size) = (sockaddr_in(), socklen_t(MemoryLayout<sockaddr_in>.size))
            address.sin_family = sa_family_t(AF_INET)
            address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
            try withUnsafeMutablePointer(to: &address) { pointer in
                try pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    try #require(bind(descriptor, $0, size) == 0 && listen(descriptor, 1) == 0)
                    try #require(getsockname(descriptor, $0, &size) == 0)
                }
            }
            return UInt16(bigEndian: address.sin_port)
        }
        let rows = TCPSocketTable(SocketOwners.table("tcp")).rows
        #expect(Set(ports).isSubset(of: rows.filter(\.isListening).map(\.localPort)))
    }

    @Test(arguments: [0, 3, 4, 15, 16, 31, 33, 39])
    func anAnswerCutShortSaysNothing(length: Int) {
        var bytes = [UInt8](repeating: 0, count: 40)
        bytes[0] = 40
        bytes[4] = 20
        bytes[32] = 8
        bytes[34] = 2
        bytes[36] = 7
        #expect(UnixPeerQuery.answer(bytes) == 7)
        #expect(UnixPeerQuery.answer(bytes[..<length]) == nil)
    }
}
