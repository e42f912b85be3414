import Foundation
import Glibc
import Platform
import TestSupport
import Testing

@Suite("Files with secrets")
struct FilePrivacyTests {
    private let files = LocalFileSystem()

    @Test("A file that this system made is for its own user alone", arguments: [0o600, 0o400, 0o700] as [UInt32])
    func own(mode: UInt32) throws {
        try TemporaryFolder.use { folder in
            try files.replace("\(folder)/key", with: [1], mode: mode)
            #expect(try files.readSecret("\(folder)/key", limit: 10, privacy: .own) == [1])
            #expect(try files.readSecret("\(folder)/key", limit: 10, privacy: .handedOver) == [1])
            #expect(try files.readSecret("\(folder)/none", limit: 10, privacy: .own) == nil)
        }
    }

    @Test(
        "A file that anybody else can read or write is refused with the command that mends it",
        arguments: [0o604, 0o640, 0o620, 0o602, 0o644, 0o666, 0o601] as [UInt32], [FilePrivacy.own, .handedOver])
    func open(mode: UInt32, privacy: FilePrivacy) throws {
        try TemporaryFolder.use { folder in
            let path = "\(folder)/key"
            try files.replace(path, with: [1], mode: mode)
            let error = #expect(throws: FileSystemError.self) {
                try files.readSecret(path, limit: 10, privacy: privacy)
            }
            #expect(error?.remedy?.contains("chmod 600 \(path)") == true)
            #expect(error.map { "\($0)" }?.contains("0" + String(mode, radix: 8)) == true)
            try files.replace(path, with: [1], mode: 0o600)
            #expect(try files.readSecret(path, limit: 10, privacy: privacy) == [1])
        }
    }

    @Test("A link is no file of this system's own, wherever it leads; to what an admin hands over it may lead")
    func links() throws {
        try TemporaryFolder.use { folder in
            try files.replace("\(folder)/key", with: [1], mode: 0o600)
            try files.replace("\(folder)/open", with: [1], mode: 0o644)
            for name in ["key", "open", "none"] {
                try FileManager.default.createSymbolicLink(
                    atPath: "\(folder)/to-\(name)", withDestinationPath: "\(folder)/\(name)")
                #expect(throws: FileSystemError.self) {
                    try files.readSecret("\(folder)/to-\(name)", limit: 10, privacy: .own)
                }
            }
            #expect(try files.readSecret("\(folder)/to-key", limit: 10, privacy: .handedOver) == [1])
            #expect(throws: FileSystemError.self, "what it leads to is judged") {
                try files.readSecret("\(folder)/to-open", limit: 10, privacy: .handedOver)
            }
        }
    }

    @Test("What is no regular file is refused, and a pipe holds nobody up")
    func otherKinds() throws {
        try TemporaryFolder.use { folder in
            #expect(mkfifo("\(folder)/pipe", 0o600) == 0)
            for privacy in [FilePrivacy.own, .handedOver] {
                #expect(throws: FileSystemError.self) {
                    try files.readSecret("\(folder)/pipe", limit: 10, privacy: privacy)
                }
            }
        }
    }

    @Test("A file of another user is refused", .enabled(if: getuid() == 0, "needs root, to give a file away"))
    func otherOwners() throws {
        try TemporaryFolder.use { folder in
            let path = "\(folder)/key"
            try files.replace(path, with: [1], mode: 0o600)
            #expect(chown(path, 65534, 65534) == 0)
            #expect(try files.status(path)?.owner == .another(65534))
            for privacy in [FilePrivacy.own, .handedOver] {
                let error = #expect(throws: FileSystemError.self) {
                    try files.readSecret(path, limit: 10, privacy: privacy)
                }
                #expect(error.map { "\($0)" }?.contains("uid 65534") == true)
            }
        }
    }

    @Test("Root may hand over a file that a group may read, as service managers do, and nothing wider")
    func root() throws {
        func judge(_ mode: UInt32, _ privacy: FilePrivacy) -> Bool {
            let status = FileStatus(kind: .file, mode: mode, owner: .root)
            do throws(FileSystemError) {
                try privacy.judge(status, path: "/run/credentials/key")
                return true
            } catch { return false }
        }
        #expect([0o400, 0o440, 0o600, 0o640].allSatisfy { judge($0, .handedOver) })
        #expect(![0o444, 0o660, 0o644, 0o441].contains { judge($0, .handedOver) })
        #expect(!judge(0o400, .own), "what is root's was not made by this process")
    }

    @Test("A folder is judged like a file", arguments: [(0o700, true), (0o755, false), (0o770, false), (0o711, false)])
    func folders(mode: UInt32, isFine: Bool) throws {
        try TemporaryFolder.use { folder in
            try files.createDirectory("\(folder)/keys", mode: mode)
            #expect(try files.status("\(folder)/keys") == FileStatus(kind: .directory, mode: mode, owner: .thisUser))
            let error: FileSystemError?
            do throws(FileSystemError) {
                try files.requireOwn("\(folder)/keys")
                error = nil
            } catch let refusal { error = refusal }
            #expect((error == nil) == isFine)
            if let error { #expect(error.remedy?.contains("chmod 700 \(folder)/keys") == true) }
            try files.requireOwn("\(folder)/missing")
        }
    }
}
