import Foundation
import IssuerDomain
import Logging
import Platform
import RecordSpool
import SPIFFE
import StoreContract
import TestSupport
import Testing

/// A folder that spools are opened in, again and again.
private struct Place {
    let path: String

    func open(after last: UInt64 = 0, limit: Int = FileIssuanceSpool.maximumSize) throws -> FileIssuanceSpool {
        try FileIssuanceSpool(
            folder: path, after: last, limit: limit, files: LocalFileSystem(), logger: Logger(label: "test"))
    }

    var files: [String] {
        get throws { try FileManager.default.contentsOfDirectory(atPath: path).sorted() }
    }

    func names(_ spool: FileIssuanceSpool) throws -> [String] {
        try spool.seal().flatMap { try spool.records(in: $0).map(\.call.requestID) }
    }

    static func use(_ body: (Place) throws -> Void) throws {
        try TemporaryFolder.use { try body(Place(path: "\($0)/records")) }
    }
}

@Suite("The spool of issuance records")
struct FileIssuanceSpoolTests {
    static func record(_ name: String) -> IssuanceRecord {
        IssuanceRecord(
            call: .init(
                time: Sample.start, requestID: name, callerClass: .agent, principal: "p", address: "a", method: "m"),
            fact: .denied("x"))
    }

    @Test("Every field comes back")
    func fields() throws {
        var issued = IssuanceFact.issued(
            try SPIFFEID("spiffe://example.org/web"), expiresAt: Sample.start + 3600, limit: .nodeExpiry)
        (issued.entryID, issued.entryRevision, issued.serial) = ("entry-1", -7, "40dd")
        (issued.tokenID, issued.audience, issued.asked) = ("jti", ["", "db", "ä \"quoted\" one"], "x509pop")
        issued.lifetime = GrantedLifetime(asked: 7200, granted: 3600)
        var denied = IssuanceFact.denied("not authorized")
        denied.repetition = .init(count: 7, first: Sample.start - 1.507)
        for fact in [issued, denied, .issued()] {
            let call = IssuanceRecord.Call(
                time: Sample.start + 0.123, requestID: "r", callerClass: .downstream, principal: "", address: "::1",
                method: "service/Method")
            let record = IssuanceRecord(call: call, fact: fact)
            var bytes: [UInt8] = []
            record.append(to: &bytes)
            #expect(IssuanceRecord(bytes: bytes[...]) == record)
            // A later version's field is passed over; a record that was cut or changed is none, and never traps.
            #expect(IssuanceRecord(bytes: bytes + [200, 2, 0, 0, 0, 1, 2]) == record)
            for end in bytes.indices { _ = IssuanceRecord(bytes: bytes[..<end]) }
            for index in bytes.indices {
                var changed = bytes
                changed[index] ^= 0xFF
                _ = IssuanceRecord(bytes: changed[...])
            }
            #expect(IssuanceRecord(bytes: bytes.dropLast()) == nil)
        }
        #expect(IssuanceRecord(bytes: []) == nil)
    }

    @Test("A millisecond stays the same one, however often it is written and read")
    func milliseconds() {
        for number in stride(from: Int64(1_700_000_000_000), to: 1_700_000_100_000, by: 37) {
            #expect(Date(unixMilliseconds: number).unixMilliseconds == number)
        }
    }

    @Test("What was appended is there for the next process, in order, until the store has it")
    func next() throws {
        try Place.use { place in
            let first = try place.open()
            try first.append([Self.record("a"), Self.record("b")])
            #expect(first.seal() == [1])
            try first.append([Self.record("c")])
            // The process ends here, without a word.
            let second = try place.open()
            try second.append([Self.record("d")])
            #expect(try place.names(second) == ["a", "b", "c", "d"])
            #expect(second.seal() == [1, 2, 3])
            try second.remove(1)
            try second.remove(1)
            #expect(try place.open(after: 2).seal() == [3])
            #expect(try place.files.count == 1)
            #expect(try place.open(after: 7).seal() == [])
            let third = try place.open(after: 7)
            try third.append([Self.record("e")])
            #expect(third.seal() == [8])
        }
    }

    @Test("Only the owner can read it")
    func modes() throws {
        try Place.use { place in
            let spool = try place.open()
            try spool.append([Self.record("a")])
            for name in ["", "/\(try place.files[0])"] {
                let mode =
                    try FileManager.default.attributesOfItem(atPath: place.path + name)[.posixPermissions] as? Int
                #expect((mode ?? 0o777) & 0o077 == 0)
            }
        }
    }

    @Test("A torn end is cut off, what is before it is kept, and the file is put aside", arguments: [1, 11, 12, 40])
    func torn(missing: Int) throws {
        try Place.use { place in
            let spool = try place.open()
            try spool.append([Self.record("a")])
            try spool.append([Self.record("b")])
            #expect(spool.seal() == [1])
            let file = "\(place.path)/\(try place.files[0])"
            let bytes = try Data(contentsOf: URL(filePath: file))
            try bytes.dropLast(missing).write(to: URL(filePath: file))
            let reopened = try place.open()
            #expect(try place.names(reopened) == ["a"])
            try reopened.remove(1)
            #expect(try place.files == ["00000000000000000001.records.damaged"])
            #expect(try place.open().seal() == [])
        }
    }

    @Test("A changed byte ends the segment")
    func changed() throws {
        try Place.use { place in
            let spool = try place.open()
            try spool.append([Self.record("a")])
            try spool.append([Self.record("b")])
            #expect(spool.seal() == [1])
            let file = URL(filePath: "\(place.path)/\(try place.files[0])")
            var bytes = try Data(contentsOf: file)
            bytes[bytes.count - 3] ^= 1
            try bytes.write(to: file)
            #expect(try place.names(try place.open()) == ["a"])
        }
    }

    @Test("There is an end to what may wait, and room again once the store has taken some")
    func bound() throws {
        try Place.use { place in
            let spool = try place.open(limit: 1000)
            var count = 0
            #expect(throws: StoreError.self) {
                while count < 1000 {
                    try spool.append([Self.record("\(count)")])
                    count += 1
                }
            }
            #expect((1...20).contains(count))
            for number in spool.seal() { try spool.remove(number) }
            try spool.append([Self.record("next")])
            #expect(try place.names(spool) == ["next"])
        }
    }

    @Test("A segment ends by itself before a transaction becomes too large")
    func segments() throws {
        try Place.use { place in
            let spool = try place.open()
            var large = Self.record("large")
            large = IssuanceRecord(call: large.call, fact: .denied(String(repeating: "x", count: 500)))
            for _ in 0..<2000 { try spool.append([large]) }
            let segments = spool.seal()
            #expect(segments.count > 3)
            #expect(try place.names(spool).count == 2000)
        }
    }

    @Test("A segment that cannot be made refuses its records alone; the next ones are taken")
    func cannotBegin() throws {
        try Place.use { place in
            // Links are not followed, wherever they lead.
            let spool = try place.open()
            try spool.append([Self.record("a")])
            #expect(spool.seal() == [1])
            try FileManager.default.createSymbolicLink(
                atPath: "\(place.path)/00000000000000000002.records", withDestinationPath: "/dev/full")
            #expect(throws: StoreError.self) { try spool.append([Self.record("b")]) }
            #expect(spool.seal() == [1])
            try FileManager.default.removeItem(atPath: "\(place.path)/00000000000000000002.records")
            try spool.append([Self.record("c")])
            #expect(try place.names(spool) == ["a", "c"])
            try spool.flush()
        }
    }
}
