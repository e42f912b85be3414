import Foundation
import Glibc
import Platform
import TestSupport
import Testing

@Suite("The machine's file system")
struct LocalFileSystemTests {
    private let files = LocalFileSystem()

    private static func mode(of path: String) throws -> Int {
        let value = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions]
        return try #require(value as? Int)
    }

    @Test("reads back what it wrote, of any size", arguments: [0, 1, 4096, 65_535, 65_536, 65_537, 300_000])
    func roundTrip(_ size: Int) throws {
        try TemporaryFolder.use { folder in
            let bytes = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 31) }
            try files.replace("\(folder)/file", with: bytes, mode: 0o600)
            #expect(try files.read("\(folder)/file", limit: size) == bytes)
            #expect(try files.names(in: folder) == ["file"])
        }
    }

    @Test("gives a file the mode asked for, whatever the umask", arguments: [0o600, 0o644, 0o666, 0o400, 0o755])
    func mode(_ mode: UInt32) throws {
        try TemporaryFolder.use { folder in
            try files.replace("\(folder)/file", with: [1], mode: mode)
            #expect(try Self.mode(of: "\(folder)/file") == Int(mode))
        }
    }

    @Test("replaces contents and mode, and leaves whoever holds the old file with the old contents")
    func replaces() throws {
        try TemporaryFolder.use { folder in
            let path = "\(folder)/file"
            try files.replace(path, with: Array("old".utf8), mode: 0o644)
            try FileManager.default.linkItem(atPath: path, toPath: "\(folder)/held")
            try files.replace(path, with: Array("newer".utf8), mode: 0o600)
            #expect(try files.read(path, limit: 100) == Array("newer".utf8))
            #expect(try Self.mode(of: path) == 0o600)
            #expect(try files.read("\(folder)/held", limit: 100) == Array("old".utf8))
            #expect(try files.names(in: folder) == ["file", "held"])
        }
    }

    @Test("replaces a symbolic link, not what it points at")
    func symbolicLink() throws {
        try TemporaryFolder.use { folder in
            try files.replace("\(folder)/target", with: Array("target".utf8), mode: 0o600)
            try FileManager.default.createSymbolicLink(
                atPath: "\(folder)/link", withDestinationPath: "\(folder)/target")
            try files.replace("\(folder)/link", with: Array("mine".utf8), mode: 0o600)
            #expect(try files.read("\(folder)/target", limit: 100) == Array("target".utf8))
            #expect(try files.read("\(folder)/link", limit: 100) == Array("mine".utf8))
        }
    }

    @Test("removes what an earlier attempt with the same name left behind, without following it")
    func leftover() throws {
        try TemporaryFolder.use { folder in
            let path = "\(folder)/file"
            try files.replace("\(folder)/victim", with: Array("victim".utf8), mode: 0o600)
            try FileManager.default.createSymbolicLink(
                atPath: "\(path).new", withDestinationPath: "\(folder)/victim")
            try files.replace(path, with: Array("mine".utf8), mode: 0o600)
            #expect(try files.read("\(folder)/victim", limit: 100) == Array("victim".utf8))
            #expect(try files.names(in: folder) == ["file", "victim"])
        }
    }

    @Test("writes to a path relative to the working directory")
    func relativePath() throws {
        try TemporaryFolder.use { folder in
            let up = String(repeating: "../", count: 64)
            let path = up + folder.dropFirst() + "/file"
            try files.replace(path, with: [1, 2], mode: 0o600)
            #expect(try files.read("\(folder)/file", limit: 2) == [1, 2])
        }
    }

    @Test("says what failed, where, and why, and leaves nothing behind")
    func replaceFails() throws {
        try TemporaryFolder.use { folder in
            let missing = #expect(throws: FileSystemError.self) {
                try files.replace("\(folder)/missing/file", with: [1], mode: 0o600)
            }
            #expect(missing?.code == ENOENT)
            #expect(missing?.operation == "create")
            #expect(missing?.path.hasPrefix("\(folder)/missing/file") == true)
            #expect(missing?.description.contains("no such file or directory") == true)

            try files.createDirectory("\(folder)/folder", mode: 0o700)
            let taken = #expect(throws: FileSystemError.self) {
                try files.replace("\(folder)/folder", with: [1], mode: 0o600)
            }
            #expect(taken?.code == EISDIR)
            #expect(taken?.operation == "replace")
            #expect(try files.names(in: folder) == ["folder"])

            let notFolder = #expect(throws: FileSystemError.self) {
                try files.replace("/dev/null/file", with: [1], mode: 0o600)
            }
            #expect(notFolder?.code == ENOTDIR)
        }
    }

    @Test("reads up to the limit and refuses more")
    func limit() throws {
        try TemporaryFolder.use { folder in
            let path = "\(folder)/file"
            try files.replace(path, with: [UInt8](repeating: 7, count: 100), mode: 0o600)
            #expect(try files.read(path, limit: 100)?.count == 100)
            let error = #expect(throws: FileSystemError.self) { try files.read(path, limit: 99) }
            #expect(error?.code == EFBIG)
        }
    }

    @Test("does not read for ever from a file without an end")
    func endless() {
        let error = #expect(throws: FileSystemError.self) { try files.read("/dev/zero", limit: 1 << 20) }
        #expect(error?.code == EFBIG)
    }

    @Test("takes a missing file for nothing, and a directory for a mistake")
    func missing() throws {
        try TemporaryFolder.use { folder in
            for path in ["missing", "missing/file"] {
                let contents = try files.read("\(folder)/\(path)", limit: 1)
                #expect(contents == nil)
            }
            let error = #expect(throws: FileSystemError.self) { try files.read(folder, limit: 1) }
            #expect(error?.code == EISDIR)
            #expect(error?.operation == "read")
        }
    }

    @Test("does not wait for a writer when a pipe lies where a file should")
    func pipe() throws {
        try TemporaryFolder.use { folder in
            #expect(mkfifo("\(folder)/pipe", 0o600) == 0)
            let contents = try files.read("\(folder)/pipe", limit: 1)
            #expect(contents == [])
        }
    }

    @Test("removes a file, and does not mind one that is not there")
    func remove() throws {
        try TemporaryFolder.use { folder in
            try files.replace("\(folder)/file", with: [1], mode: 0o600)
            try files.remove("\(folder)/file")
            try files.remove("\(folder)/file")
            #expect(try files.names(in: folder).isEmpty)
            let error = #expect(throws: FileSystemError.self) { try files.remove(folder) }
            #expect(error?.operation == "remove")
        }
    }

    @Test("creates a directory with its parents, and leaves an existing one's mode alone")
    func createDirectory() throws {
        try TemporaryFolder.use { folder in
            try files.createDirectory("\(folder)/a/b/c", mode: 0o700)
            for path in ["a", "a/b", "a/b/c"] { #expect(try Self.mode(of: "\(folder)/\(path)") == 0o700) }
            try files.createDirectory("\(folder)/open", mode: 0o777)
            #expect(try Self.mode(of: "\(folder)/open") == 0o777)
            #expect(chmod("\(folder)/a", 0o755) == 0)
            try files.createDirectory("\(folder)/a", mode: 0o700)
            #expect(try Self.mode(of: "\(folder)/a") == 0o755)
        }
    }

    @Test("refuses to create a directory where a file lies, or below one")
    func createDirectoryFails() throws {
        try TemporaryFolder.use { folder in
            try files.replace("\(folder)/file", with: [1], mode: 0o600)
            for path in ["\(folder)/file", "\(folder)/file/below", "\(folder)/file/below/that"] {
                let error = #expect(throws: FileSystemError.self) { try files.createDirectory(path, mode: 0o700) }
                #expect(error?.code == ENOTDIR)
            }
        }
    }

    @Test("lists names in order, hidden ones too, and none for a directory that is not there")
    func names() throws {
        try TemporaryFolder.use { folder in
            for name in ["b", "a", ".hidden", "\u{E9}"] {
                try files.replace("\(folder)/\(name)", with: [], mode: 0o600)
            }
            #expect(try files.names(in: folder) == [".hidden", "a", "b", "\u{E9}"])
            #expect(try files.names(in: "\(folder)/missing").isEmpty)
            let error = #expect(throws: FileSystemError.self) { try files.names(in: "\(folder)/a") }
            #expect(error?.code == ENOTDIR)
            #expect(error?.operation == "list")
        }
    }
}

@Suite("The file system of tests")
struct MemoryFileSystemTests {
    @Test("behaves like the machine's")
    func agrees() throws {
        try TemporaryFolder.use { folder in
            let systems: [any FileSystem] = [LocalFileSystem(), MemoryFileSystem(folders: [folder])]
            for files in systems {
                try files.createDirectory("\(folder)/a/b", mode: 0o700)
                try files.replace("\(folder)/a/file", with: [1, 2], mode: 0o600)
                #expect(try files.read("\(folder)/a/file", limit: 2) == [1, 2])
                #expect(try files.read("\(folder)/a/other", limit: 2) == nil)
                #expect(try files.names(in: "\(folder)/a") == ["b", "file"])
                #expect(try files.names(in: "\(folder)/none").isEmpty)
                let tooLong = #expect(throws: FileSystemError.self) { try files.read("\(folder)/a/file", limit: 1) }
                #expect(tooLong?.code == EFBIG)
                let noFolder = #expect(throws: FileSystemError.self) {
                    try files.replace("\(folder)/none/file", with: [], mode: 0o600)
                }
                #expect(noFolder?.code == ENOENT)
                let notFolder = #expect(throws: FileSystemError.self) {
                    try files.createDirectory("\(folder)/a/file/c", mode: 0o700)
                }
                #expect(notFolder?.code == ENOTDIR)
                try files.remove("\(folder)/a/file")
                try files.remove("\(folder)/a/file")
                #expect(try files.names(in: "\(folder)/a") == ["b"])
            }
        }
    }

    @Test("fails when told to, where told to, and as often", arguments: MemoryFileSystem.Operation.allCases)
    func faults(_ operation: MemoryFileSystem.Operation) throws {
        let files = MemoryFileSystem(folders: ["/a", "/b"])
        func attempt(_ folder: String) throws(FileSystemError) {
            switch operation {
            case .read: _ = try files.read("\(folder)/file", limit: 1)
            case .replace: try files.replace("\(folder)/file", with: [], mode: 0o600)
            case .remove: try files.remove("\(folder)/file")
            case .createDirectory: try files.createDirectory("\(folder)/file", mode: 0o700)
            case .names: _ = try files.names(in: "\(folder)/file")
            }
        }
        files.fail(operation, at: "/a/file", code: EIO, times: 2)
        for _ in 0..<2 {
            let error = #expect(throws: FileSystemError.self) { try attempt("/a") }
            #expect(error?.code == EIO)
        }
        #expect(throws: Never.self) { try attempt("/a") }
        files.fail(operation)
        let error = #expect(throws: FileSystemError.self) { try attempt("/b") }
        #expect(error?.code == ENOSPC)
        #expect(error?.description.contains("no space left on device") == true)
        files.heal(operation)
        #expect(throws: Never.self) { try attempt("/b") }
    }
}
