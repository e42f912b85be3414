import Foundation
import GRPCCore
import SPIFFE
import TestSupport
import Testing
import WorkloadAPIProtos
import WorkloadIdentity
import X509

@Suite("What an X.509 source holds", .timeLimit(.minutes(1)))
struct X509SourceStateTests {
    /// One state of the endpoint after another, and what a source must then hold.
    struct Succession: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let first: @Sendable () throws -> WorkloadX509SVIDResponse
        let second: @Sendable () throws -> WorkloadX509SVIDResponse
        let holds: @Sendable (X509Update) throws -> Bool
    }

    private static let ca = Result { try TestCA.current() }
    private static let other = Result { try TestCA.current("other.example") }

    static let successions: [Succession] = [
        Succession(testDescription: "A05, WLAPI-35: a federated bundle that vanished is gone") {
            WorkloadX509SVIDResponse(
                try ca.get().wire(), federated: ["spiffe://other.example": try other.get().der])
        } second: {
            WorkloadX509SVIDResponse(try ca.get().wire())
        } holds: {
            $0.bundles[try .other] == nil && $0.bundles.count == 1
        },
        Succession(testDescription: "A06: a federated bundle emptied is known, and trusts nobody") {
            WorkloadX509SVIDResponse(
                try ca.get().wire(), federated: ["spiffe://other.example": try other.get().der])
        } second: {
            WorkloadX509SVIDResponse(try ca.get().wire(), federated: ["spiffe://other.example": Data()])
        } holds: {
            $0.bundles[try .other]?.authorities == []
        },
        Succession(testDescription: "WLAPI-35: a second identity that vanished is gone") {
            WorkloadX509SVIDResponse(try ca.get().wire("/1"), try ca.get().wire("/2"))
        } second: {
            WorkloadX509SVIDResponse(try ca.get().wire("/2"))
        } holds: {
            $0.svids.map(\.id.path) == ["/2"]
        },
        Succession(testDescription: "WLAPI-34: an empty list of revocations clears the one before") {
            WorkloadX509SVIDResponse(try ca.get().wire(), crl: [try ca.get().revocationList([])])
        } second: {
            WorkloadX509SVIDResponse(try ca.get().wire())
        } holds: {
            $0.revocationLists.isEmpty
        },
        Succession(testDescription: "WLAPI-34: a hint that became empty is empty") {
            WorkloadX509SVIDResponse(try ca.get().wire(hint: "internal"))
        } second: {
            WorkloadX509SVIDResponse(try ca.get().wire())
        } holds: {
            $0.svids[0].hint.isEmpty
        },
        Succession(testDescription: "WLAPI-34: a new own bundle replaces the old one, and is not added to it") {
            WorkloadX509SVIDResponse(try ca.get().wire())
        } second: {
            var svid = try ca.get().wire()
            svid.bundle = try TestCA.current(commonName: "next").der
            return WorkloadX509SVIDResponse(svid)
        } holds: {
            let (held, old) = (try $0.bundles[.example]?.authorities, try ca.get().certificate)
            return held?.count == 1 && held != [old]
        },
    ]

    @Test("is what the last message said, and nothing of those before it", arguments: successions)
    func replaces(_ succession: Succession) async throws {
        try await FakeAgent.run { agent, options in
            let goOn = Signal()
            let (first, second) = (try succession.first().bytes, try succession.second().bytes)
            agent.play(.x509SVID, [.send(first), .wait(goOn), .send(second), .hang])
            let source = try await X509Source.start(options: options)
            var updates = source.updates.makeAsyncIterator()
            let before = try #require(await updates.next()).get()
            #expect(try !succession.holds(before))
            goOn.fire()
            let after = try #require(await updates.next()).get()
            #expect(try succession.holds(after))
            #expect(try succession.holds(try source.update))
            await source.close()
        }
    }

    @Test(
        "A12, A13, WLAPI-36: a message that breaks a rule is reported and changes nothing",
        arguments: X509UpdateTests.faults)
    func keeps(_ fault: X509UpdateTests.Fault) async throws {
        try await FakeAgent.run { agent, options in
            let (ca, log, goOn) = (try Self.ca.get(), LogWatch(), Signal())
            var broken = WorkloadX509SVIDResponse(try ca.wire("/broken"))
            try fault.spoil(&broken)
            agent.play(
                .x509SVID,
                [
                    .send(try WorkloadX509SVIDResponse(ca.wire("/1")).bytes), .send(try broken.bytes), .wait(goOn),
                    .send(try WorkloadX509SVIDResponse(ca.wire("/2")).bytes), .hang,
                ])
            let source = try await X509Source.start(options: options.logging(to: log))
            try await log.messages.wait(for: "unreadable message discarded")
            #expect(try source.svid.id.path == "/1")
            var updates = source.updates.makeAsyncIterator()
            #expect(try await updates.next()?.get().svids.map(\.id.path) == ["/1"])
            goOn.fire()
            #expect(try await updates.next()?.get().svids.map(\.id.path) == ["/2"])
            #expect(agent.calls.count(.x509SVID) == 1, "the stream stays open")
            await source.close()
        }
    }

    @Test("WLAPI-40, WLAPI-41: a refusal mid-stream takes all back at once; what comes after it is there again")
    func withdrawal() async throws {
        try await FakeAgent.run { agent, options in
            let (ca, revoke, restore) = (try Self.ca.get(), Signal(), Signal())
            let good = try WorkloadX509SVIDResponse(ca.wire()).bytes
            agent.play(
                .x509SVID, [.send(good), .wait(revoke), .end(.permissionDenied, "no identity issued")],
                [.end(.permissionDenied, "no identity issued")], [.wait(restore), .send(good), .hang])
            let source = try await X509Source.start(options: options)
            _ = try source.material()
            var updates = source.updates.makeAsyncIterator()
            #expect(try await updates.next()?.get().svids.count == 1)
            #expect(source.bundle(for: try .example) != nil)

            revoke.fire()
            let refusal = WorkloadAPIError(.noIdentity, "no identity issued")
            let told = await updates.next()
            #expect(throws: refusal) { try told?.get() }
            #expect(throws: refusal) { try source.svid }
            #expect(throws: refusal) { try source.update }
            #expect(throws: refusal) { try source.material() }
            #expect(source.bundle(for: try .example) == nil)
            let presented = try ca.currentLeaf().certificate
            let verdict = #expect(throws: PeerRefusal.self) { try source.verify([presented], authorizing: .any) }
            #expect(verdict?.code == .unavailable)

            restore.fire()
            #expect(try await updates.next()?.get().svids.count == 1)
            #expect(try source.svid.id.path == "/w")
            #expect(try source.verify([presented], authorizing: .any).id.path == "/w")
            await source.close()
        }
    }

    @Test("WLAPI-40: with two identities the one that goes is gone, the other stays")
    func oneOfTwo() async throws {
        try await FakeAgent.run { agent, options in
            let (ca, goOn) = (try Self.ca.get(), Signal())
            agent.play(
                .x509SVID,
                [
                    .send(try WorkloadX509SVIDResponse(ca.wire("/1"), ca.wire("/2")).bytes), .wait(goOn),
                    .send(try WorkloadX509SVIDResponse(ca.wire("/2")).bytes), .hang,
                ])
            let source = try await X509Source.start(picking: .id(try .example("/1")), options: options)
            var updates = source.updates.makeAsyncIterator()
            _ = await updates.next()
            goOn.fire()
            _ = await updates.next()
            let error = #expect(throws: WorkloadAPIError.self) { try source.svid }
            #expect(error?.code == .noSuchIdentity)
            #expect(error?.message.contains("spiffe://example.org/2") == true, "it says what is held")
            await source.close()
        }
    }

    @Test("an SVID is served until it expires, and not longer")
    func expiry() throws {
        let (ca, leaf) = (try TestCA(), try TestCA().leaf())
        let svid = try X509SVID(chain: Data(try leaf.certificate.derBytes()), privateKey: leaf.pkcs8)
        let (clock, end) = (ManualClock(), svid.validity.upperBound)
        let source = X509Source(try X509Update(svids: [svid], bundles: [ca.bundle])) { clock.now }
        #expect(try source.svid.id == svid.id)
        clock.advance(by: .seconds(end.timeIntervalSince(clock.now) - 1))
        #expect(try source.svid.id == svid.id)
        clock.advance(by: .seconds(1))
        for read in [{ _ = try source.svid }, { _ = try source.material() }] as [() throws -> Void] {
            let error = #expect(throws: WorkloadAPIError.self) { try read() }
            #expect(error?.code == .expired)
        }
        #expect(source.bundle(for: try .example) != nil, "peers can still be judged")
    }

    @Test(
        "an identity is picked by ID, by hint, by a rule, or is the first",
        arguments: [
            (.first, "/1"), (.hint("external"), "/2"), (.custom("the last") { $0.last }, "/3"),
        ] as [(SVIDPicker, String)])
    func picks(_ picker: SVIDPicker, _ path: String) async throws {
        try await FakeAgent.run { agent, options in
            let ca = try Self.ca.get()
            let message = WorkloadX509SVIDResponse(
                try ca.wire("/1", hint: "internal"), try ca.wire("/2", hint: "external"), try ca.wire("/3"))
            agent.play(.x509SVID, [.send(try message.bytes), .hang])
            let source = try await X509Source.start(picking: picker, options: options)
            #expect(try source.svid.id.path == path)
            await source.close()
        }
    }
}
