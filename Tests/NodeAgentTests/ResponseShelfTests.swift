import GRPCWire
import NodeAgent
import Synchronization
import Testing
import WorkloadSocket

@Suite("Messages that many get alike")
struct ResponseShelfTests {
    private static func address(_ bytes: [UInt8]) -> UnsafeRawPointer? { bytes.withUnsafeBytes { $0.baseAddress } }

    private static func get(
        _ shelf: ResponseShelf, _ label: ResponseShelf.Label, _ revision: UInt64, _ bytes: [UInt8]
    ) throws -> [UInt8] {
        try shelf.message(label, revision: revision) { () throws(CallStatus) in bytes }
    }

    @Test("Made once for a view, and given out in the same storage")
    func once() throws {
        let shelf = ResponseShelf()
        let first = try Self.get(shelf, .x509Bundles([]), 1, [1, 2, 3])
        let second = try Self.get(shelf, .x509Bundles([]), 1, [9])
        #expect(second == [1, 2, 3])
        #expect(Self.address(first) == Self.address(second))
    }

    @Test("Labels do not share")
    func labels() throws {
        let shelf = ResponseShelf()
        let labels: [ResponseShelf.Label] = [
            .x509Bundles([]), .x509Bundles(["a"]), .jwtBundles([]), .jwtBundles(["a"]), .x509SVIDs(["a"]),
            .x509SVIDs(["b"]), .x509SVIDs(["a", "b"]),
            .x509SVIDs(["b", "a"]), .x509SVIDs([]), .x509SVIDs(["ab"]),
        ]
        for (number, label) in labels.enumerated() { _ = try Self.get(shelf, label, 1, [UInt8(number)]) }
        for (number, label) in labels.enumerated() {
            #expect(try Self.get(shelf, label, 1, [99]) == [UInt8(number)])
        }
    }

    @Test("A newer view clears it; an older one neither reads nor writes")
    func revisions() throws {
        let shelf = ResponseShelf()
        _ = try Self.get(shelf, .x509Bundles([]), 1, [1])
        #expect(try Self.get(shelf, .x509Bundles([]), 2, [2]) == [2])
        #expect(try Self.get(shelf, .x509Bundles([]), 1, [3]) == [3])
        #expect(try Self.get(shelf, .x509Bundles([]), 2, [4]) == [2])
        // What only the older view had is not kept from one to the next.
        #expect(try Self.get(shelf, .jwtBundles([]), 3, [5]) == [5])
        #expect(try Self.get(shelf, .x509Bundles([]), 3, [6]) == [6])
    }

    @Test("What cannot be made is not kept")
    func failure() throws {
        let shelf = ResponseShelf()
        #expect(throws: CallStatus.self) {
            try shelf.message(.jwtBundles([]), revision: 1) { () throws(CallStatus) in throw CallStatus(.internal, "no")
            }
        }
        #expect(try Self.get(shelf, .jwtBundles([]), 1, [1]) == [1])
    }

    @Test("Bounded: at 4,096 it starts anew, and goes on answering")
    func bound() throws {
        let shelf = ResponseShelf()
        for number in 0..<4096 { _ = try Self.get(shelf, .x509SVIDs(["\(number)"]), 1, [1]) }
        #expect(try Self.get(shelf, .x509SVIDs(["0"]), 1, [2]) == [1])
        #expect(try Self.get(shelf, .x509SVIDs(["more"]), 1, [3]) == [3])
        #expect(try Self.get(shelf, .x509SVIDs(["0"]), 1, [2]) == [2])
    }

    @Test("Many at once agree on one message")
    func concurrency() async throws {
        let shelf = ResponseShelf()
        let answers = try await withThrowingTaskGroup(of: [UInt8].self) { group in
            for number in 0..<64 {
                group.addTask { try Self.get(shelf, .x509SVIDs(["a"]), 1, [UInt8(number)]) }
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(Set(answers.map { $0 }).count == 1)
    }
}
