import AgentDomain
import Foundation
import NodeAgent
import SPIFFE
import Testing
import WorkloadAttestation

@Suite("What is remembered of a connection")
struct ConnectionRecordTests {
    private static func entry(_ id: String) throws -> AuthorizedEntry {
        AuthorizedEntry(
            id: id, spiffeID: try SPIFFEID("spiffe://example.org/\(id)"), selectors: [], revision: 1,
            createdAt: Date(timeIntervalSince1970: 0), terms: AssuranceTerms(minimum: .account, allowsJIT: false))
    }

    private static func record() -> ConnectionRecord { ConnectionRecord(.failure(.gone)) }

    @Test("Where nothing was served nothing is reported, and what is served later still is")
    func nothing() throws {
        let record = Self.record()
        #expect(record.takeForReport("traced") == nil)
        record.served([try Self.entry("b"), try Self.entry("a")])
        record.served([try Self.entry("b")])
        #expect(record.takeForReport("traced") == ["a", "b"])
    }

    @Test("Each kind once: one change does not hide another")
    func kinds() throws {
        let record = Self.record()
        record.served([try Self.entry("a")])
        #expect(record.takeForReport("traced") == ["a"])
        #expect(record.takeForReport("traced") == nil)
        #expect(record.takeForReport("executed") == ["a"])
    }

    @Test("A consequence is reported where its cause was not")
    func consequence() throws {
        let record = Self.record()
        record.served([try Self.entry("a")])
        #expect(record.takeForReport("assurance-lost", isConsequence: true) == ["a"])
        #expect(record.takeForReport("assurance-lost", isConsequence: true) == nil)
        #expect(record.takeForReport("executed") == ["a"])
        let other = Self.record()
        other.served([try Self.entry("a")])
        #expect(other.takeForReport("traced") == ["a"])
        #expect(other.takeForReport("assurance-lost", isConsequence: true) == nil)
    }

    @Test("A request for one identity is about that one alone")
    func choice() throws {
        let entries = [try Self.entry("a"), try Self.entry("b")]
        let request = WorkloadRequest.jwtSVID(audience: ["x"], id: try SPIFFEID("spiffe://example.org/b"))
        #expect(request.choice(among: entries).map(\.id) == ["b"])
        #expect(WorkloadRequest.jwtSVID(audience: ["x"], id: nil).choice(among: entries) == entries)
        #expect(WorkloadRequest.x509SVID.choice(among: entries) == entries)
        let stranger = WorkloadRequest.jwtSVID(audience: ["x"], id: try SPIFFEID("spiffe://example.org/c"))
        #expect(stranger.choice(among: entries).isEmpty)
    }
}
