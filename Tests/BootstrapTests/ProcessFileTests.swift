import Bootstrap
import Foundation
import Glibc
import Platform
import TestSupport
import Testing

@Suite("The ready file")
struct ReadyFileTests {
    @Test("holds one line that anyone may read")
    func writes() throws {
        let files = MemoryFileSystem(folders: ["/run"])
        try ReadyFile("/run/ready", files: files).write(#"{"a":1}"#)
        #expect(files.files == ["/run/ready": .init(bytes: Array("{\"a\":1}\n".utf8), mode: 0o644)])
    }

    @Test("is removed before service begins, also when there is none")
    func clears() throws {
        let files = MemoryFileSystem()
        files.place("/run/ready", Array("old".utf8))
        let ready = ReadyFile("/run/ready", files: files)
        try ready.clear()
        #expect(files.files.isEmpty)
        try ready.clear()
    }

    @Test("is not written when nobody asked for one")
    func none() throws {
        let files = MemoryFileSystem()
        for operation in MemoryFileSystem.Operation.allCases { files.fail(operation) }
        let ready = ReadyFile(nil, files: files)
        try ready.clear()
        try ready.write("x")
        #expect(files.files.isEmpty)
    }

    @Test("names the flag when it cannot be written or removed")
    func fails() {
        let files = MemoryFileSystem()
        files.fail(.remove, code: EROFS)
        let ready = ReadyFile("/none/ready", files: files)
        for attempt in [{ try ready.clear() }, { try ready.write("x") }] {
            let failure = #expect(throws: Failure.self) { try attempt() }
            #expect(failure?.status == .cannotCreate)
            #expect(failure?.message.contains("/none/ready") == true)
            #expect(failure?.hint?.contains("--ready-file") == true)
        }
    }
}

@Suite("The state folder")
struct StateFolderTests {
    @Test("is created with its mode and names files inside itself")
    func creates() throws {
        try TemporaryFolder.use { folder in
            let path = "\(folder)/deep/state"
            let state = try StateFolder(path, mode: 0o700, files: LocalFileSystem())
            #expect(state.path == path)
            #expect(state.file("mintmark.db") == "\(path)/mintmark.db")
            let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
            #expect(mode == 0o700)
            let lock = try FileManager.default.attributesOfItem(atPath: "\(path)/lock")[.posixPermissions] as? Int
            #expect(lock == 0o600)
        }
    }

    @Test("belongs to one owner at a time, and is free again when that one is gone")
    func lock() throws {
        try TemporaryFolder.use { folder in
            do {
                let owner = try StateFolder(folder, mode: 0o700, files: LocalFileSystem())
                for _ in 0..<2 {
                    let failure = #expect(throws: Failure.self) {
                        try StateFolder(folder, mode: 0o700, files: LocalFileSystem())
                    }
                    #expect(failure?.status == .cannotCreate)
                    #expect(failure?.message == "another mintmark process uses state folder \(folder)")
                    #expect(failure?.hint?.contains("--state") == true)
                }
                withExtendedLifetime(owner) {}
            }
            let next = try StateFolder(folder, mode: 0o700, files: LocalFileSystem())
            #expect(next.path == folder)
        }
    }

    @Test("leaves a file alone that a failed attempt found")
    func keepsContents() throws {
        try TemporaryFolder.use { folder in
            try LocalFileSystem().replace("\(folder)/lock", with: [1], mode: 0o600)
            let state = try StateFolder(folder, mode: 0o700, files: LocalFileSystem())
            #expect(try LocalFileSystem().read(state.file("lock"), limit: 10) == [1])
        }
    }

    @Test("is refused where nothing can be created", arguments: ["/dev/null/state", "/proc/mintmark-state"])
    func notCreatable(_ path: String) {
        let failure = #expect(throws: Failure.self) {
            try StateFolder(path, mode: 0o700, files: LocalFileSystem())
        }
        #expect(failure?.status == .cannotCreate)
        #expect(failure?.message.contains(path) == true)
        #expect(failure?.hint?.contains("--state") == true)
    }

    @Test("is refused when the disk says it is read-only")
    func readOnlyDisk() {
        let files = MemoryFileSystem()
        files.fail(.createDirectory, code: EROFS)
        let failure = #expect(throws: Failure.self) { try StateFolder("/state", mode: 0o700, files: files) }
        #expect(failure?.status == .cannotCreate)
        #expect(failure?.message.contains("read-only file system") == true)
    }

    @Test("is refused when its lock cannot be opened, or is a link to somewhere else")
    func badLock() throws {
        try TemporaryFolder.use { folder in
            let files = LocalFileSystem()
            try files.createDirectory("\(folder)/one/lock", mode: 0o700)
            try files.createDirectory("\(folder)/two", mode: 0o700)
            try FileManager.default.createSymbolicLink(
                atPath: "\(folder)/two/lock", withDestinationPath: "\(folder)/elsewhere")
            for name in ["one", "two"] {
                let failure = #expect(throws: Failure.self) {
                    try StateFolder("\(folder)/\(name)", mode: 0o700, files: files)
                }
                #expect(failure?.status == .cannotCreate)
                #expect(failure?.message.hasPrefix("cannot write in state folder \(folder)/\(name): ") == true)
            }
            #expect(try files.names(in: folder) == ["one", "two"])
        }
    }
}

@Suite("Unix socket paths")
struct UnixSocketPathTests {
    /// Listens on a path for as long as the body runs; nobody ever accepts.
    private static func listening<Value>(on path: String, _ body: () throws -> Value) throws -> Value {
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        try #require(descriptor >= 0)
        defer { close(descriptor) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let size = socklen_t(MemoryLayout<sockaddr_un>.size)
        let bound = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, size) }
        }
        try #require(bound == 0)
        try #require(listen(descriptor, 1) == 0)
        return try body()
    }

    @Test("takes as many bytes as the kernel does, less one for the name while it is made")
    func longest() throws {
        let longest = "/" + String(repeating: "x", count: UnixSocketPath.maximumLength - 1)
        let path = try UnixSocketPath(longest)
        #expect(path.path == longest)
        #expect(path.description == longest)
        #expect(path.staging.utf8.count == 107)
        let failure = #expect(throws: Failure.self) { try UnixSocketPath(longest + "x") }
        #expect(failure?.status == .cannotCreate)
        #expect(failure?.message.contains("longer than 106 bytes") == true)
        #expect(failure?.hint != nil)
        // Bytes count, not characters.
        #expect(throws: Failure.self) { try UnixSocketPath("/" + String(repeating: "\u{E9}", count: 53)) }
    }

    @Test("refuses an empty path and one with a NUL", arguments: ["", "/run/a\u{0}b"])
    func empty(_ path: String) {
        let failure = #expect(throws: Failure.self) { try UnixSocketPath(path) }
        #expect(failure?.status == .configuration)
        #expect(failure?.hint != nil)
    }

    @Test("refuses to take the place of a socket that somebody listens on")
    func taken() throws {
        try TemporaryFolder.use { folder in
            let path = try UnixSocketPath("\(folder)/a.sock")
            try Self.listening(on: path.path) {
                // Also when so many wait that the listener's queue is full.
                for _ in 0..<5 {
                    let failure = #expect(throws: Failure.self) { try path.refuseIfTaken() }
                    #expect(failure?.status == .cannotCreate)
                    #expect(failure?.message == "another process listens on \(path)")
                }
            }
        }
    }

    @Test("takes the place of a socket that was left behind, and of nothing")
    func stale() throws {
        try TemporaryFolder.use { folder in
            let path = try UnixSocketPath("\(folder)/a.sock")
            #expect(throws: Never.self) { try path.refuseIfTaken() }
            try Self.listening(on: path.path) {}
            #expect(try LocalFileSystem().names(in: folder) == ["a.sock"])
            #expect(throws: Never.self) { try path.refuseIfTaken() }
        }
    }

    @Test("refuses to replace what is not a socket, and a link to one")
    func notSocket() throws {
        try TemporaryFolder.use { folder in
            try LocalFileSystem().replace("\(folder)/file", with: [1], mode: 0o600)
            try LocalFileSystem().createDirectory("\(folder)/folder", mode: 0o700)
            try Self.listening(on: "\(folder)/real") {}
            try FileManager.default.createSymbolicLink(
                atPath: "\(folder)/link", withDestinationPath: "\(folder)/real")
            for name in ["file", "folder", "link"] {
                let path = try UnixSocketPath("\(folder)/\(name)")
                let failure = #expect(throws: Failure.self) { try path.refuseIfTaken() }
                #expect(failure?.status == .cannotCreate)
                #expect(failure?.message == "\(path) exists and is not a socket")
            }
        }
    }

    @Test("moves the staged socket into place with its final mode, over a stale one", arguments: [0o600, 0o666])
    func publish(_ mode: UInt32) throws {
        try TemporaryFolder.use { folder in
            let path = try UnixSocketPath("\(folder)/a.sock")
            try Self.listening(on: path.path) {}
            try Self.listening(on: path.staging) {
                try path.publish(mode: mode)
                #expect(try LocalFileSystem().names(in: folder) == ["a.sock"])
                let actual = try FileManager.default.attributesOfItem(atPath: path.path)[.posixPermissions] as? Int
                #expect(actual == Int(mode))
                #expect(throws: Failure.self) { try path.refuseIfTaken() }
            }
            path.remove()
            path.remove()
            #expect(try LocalFileSystem().names(in: folder).isEmpty)
        }
    }

    @Test("says so when there is nothing to move into place")
    func publishFails() throws {
        let failure = #expect(throws: Failure.self) {
            try UnixSocketPath("/dev/null/a.sock").publish(mode: 0o600)
        }
        #expect(failure?.status == .cannotCreate)
        #expect(failure?.message.contains("/dev/null/a.sock") == true)
        #expect(failure?.hint != nil)
    }
}
