import Foundation
import NodeAttestation
import OutboundHTTP
import SPIFFE
import Synchronization
import Testing

@Suite("http_challenge")
struct HTTPChallengeTests {
    @Test("A host that answers at its name is let in, once", arguments: [true, false])
    func attests(isFirstUseOnly: Bool) async throws {
        let prover = HTTPChallengeProver(
            .init(hostname: "Node-1.example.org", port: 0), bindAddress: "127.0.0.1")
        let fetcher = LoopbackFetcher()
        let attestor = try attestor(fetcher, port: isFirstUseOnly ? nil : 80, isFirstUseOnly: isFirstUseOnly)
        var evidence = try await prover.payload()
        if !isFirstUseOnly { evidence = payload(port: 80) }
        let place = try JSONValue(parsing: try await prover.payload()).object
        let listening = try #require(place?["port"]?.unsignedInteger)
        fetcher.listening.withLock { $0 = listening }
        let node = try await attestor.attest(evidence, context: .now(), exchange: Node(prover: prover))
        #expect(node.path == "http_challenge/node-1.example.org")
        #expect(node.selectors.map { "\($0)" } == ["http_challenge:hostname:node-1.example.org"])
        #expect(node.canReattest == !isFirstUseOnly)
        let asked = try #require(fetcher.asked.withLock { $0.first })
        #expect(asked.hasPrefix("http://192.0.2.7:"))
        #expect(fetcher.hosts.withLock { $0.first?.hasPrefix("node-1.example.org:") } == true)
        #expect(asked.hasSuffix("/.well-known/spiffe/nodeattestor/http_challenge/default/challenge"))
        await prover.finish()
        await #expect(throws: HTTPFetchError.self) {
            _ = try await AsyncHTTPFetcher().fetch(HTTPFetch(url: "http://127.0.0.1:\(listening)/"))
        }
    }

    @Test(
        "What is not the name of another host is never asked",
        arguments: [
            "127.0.0.1", "127.1", "0x7f000001", "2130706433", "0177.0.0.1", "::1", "[::1]", "localhost", "LOCALHOST",
            "a.localhost", "node-1.example.org:80", "node-1.example.org/x", "user@node-1.example.org", "", ".",
            "node-1.example.org.", "169.254.169.254", "node_1.example.org", "node-1.example.org#",
            "node-1.example.org?x",
            "-a.example.org", "nöde.example.org", "node-1.example.org\r\nHost: x", " node-1.example.org", "evil.org",
            "node-1.example.org.evil.org", "sub.node-1.example.org", "example.org", "metadata.google.internal",
            String(repeating: "a", count: 64) + ".example.org",
        ])
    func hostNames(name: String) async throws {
        let fetcher = LoopbackFetcher()
        let found = try await refusal(payload(hostname: name), fetcher)
        #expect(found == .refused)
        #expect(fetcher.asked.withLock { $0.isEmpty })
    }

    @Test(
        "Ports and agent names that are not sound are never asked",
        arguments: [
            ("default", 0), ("default", 65536), ("default", -1), ("", 80), ("../../x", 80), ("a/b", 80), ("1a", 80),
            ("a.b", 80), ("a%2fb", 80), (String(repeating: "a", count: 33), 80), ("a\r\nb", 80),
        ])
    func places(agent: String, port: Int) async throws {
        let fetcher = LoopbackFetcher()
        #expect(try await refusal(payload(agent: agent, port: port), fetcher) == .malformed)
        #expect(fetcher.asked.withLock { $0.isEmpty })
    }

    @Test(
        "Ports that the settings do not allow are never asked",
        arguments: [
            (443, true, 80, .refused), (8080, true, 8080, .attested), (nil, false, 80, .attested),
            (nil, false, 1024, .refused), (nil, true, 1024, .attested),
        ] as [(Int?, Bool, Int, Outcome)])
    func ports(required: Int?, allowsHigh: Bool, port: Int, expected: Outcome) async throws {
        let fetcher = EchoFetcher()
        let pattern = try #require(HostPattern("node-*.example.org"))
        let attestor = HTTPChallengeAttestor(
            try #require(
                HTTPChallengeSettings(
                    patterns: [pattern], requiredPort: required,
                    allowsHighPorts: allowsHigh)), fetcher: fetcher, resolver: FixedResolver())
        let context = try NodeAttestationContext.now()
        let found = await outcome { () async throws(NodeAttestationError) in
            try await attestor.attest(payload(port: port), context: context, exchange: fetcher)
        }
        #expect(found == expected)
    }

    @Test(
        "An allowed name that leads to this machine, its link, many or nobody is not asked there",
        arguments: [
            "127.0.0.1", "127.8.9.1", "0.0.0.0", "0.1.2.3", "169.254.169.254", "224.0.0.1", "255.255.255.255", "::",
            "::1", "fe80::1", "febf::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1",
            "::7f00:1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::1",
        ])
    func addresses(text: String) async throws {
        let address = try #require(HostAddress(text))
        let fetcher = EchoFetcher()
        let patterns = [try #require(HostPattern("node-*.example.org"))]
        var settings = try #require(HTTPChallengeSettings(patterns: patterns))
        let context = try NodeAttestationContext.now()
        for (allowsLoopback, others, isIn) in [
            (false, [], false), (true, [], text.contains("127") || text.contains("7f00") || text == "::1"),
            (false, ["192.0.2.7"], true),
        ] as [(Bool, [String], Bool)] {
            settings.allowsLoopback = allowsLoopback
            let resolver = FixedResolver(addresses: [address] + others.compactMap { HostAddress($0) })
            let attestor = HTTPChallengeAttestor(settings, fetcher: fetcher, resolver: resolver)
            let before = fetcher.asked.withLock { $0.count }
            let found = await outcome { () async throws(NodeAttestationError) in
                try await attestor.attest(payload(), context: context, exchange: fetcher)
            }
            #expect(found == (isIn ? .attested : .refused), "\(allowsLoopback) \(others)")
            #expect(fetcher.asked.withLock { $0.count } == before + (isIn ? 1 : 0))
        }
    }

    @Test(
        "Addresses of hosts are asked, and no other name server's answer",
        arguments: [("192.0.2.7", "192.0.2.7"), ("10.0.0.1", "10.0.0.1"), ("2001:db8::7", "[2001:db8:0:0:0:0:0:7]")])
    func judged(text: String, inURL: String) async throws {
        let fetcher = EchoFetcher()
        let patterns = [try #require(HostPattern("node-*.example.org"))]
        let attestor = HTTPChallengeAttestor(
            try #require(HTTPChallengeSettings(patterns: patterns)), fetcher: fetcher,
            resolver: FixedResolver(addresses: [try #require(HostAddress(text))]))
        _ = try await attestor.attest(payload(), context: .now(), exchange: fetcher)
        #expect(fetcher.asked.withLock { $0.first?.hasPrefix("http://\(inURL):80/") } == true)
    }

    @Test("This machine's resolver finds this machine, and nothing for a name that is none")
    func system() async {
        let found = await SystemHostResolver().addresses(of: "localhost")
        #expect(found.contains { [HostAddress("127.0.0.1"), HostAddress("::1")].contains($0) })
        #expect(await SystemHostResolver().addresses(of: "node.invalid").isEmpty)
    }

    @Test("A redirect, an error, another nonce and silence are all refused in the same words")
    func sameWords() async throws {
        let answers: [Result<HTTPFetched, HTTPFetchError>] = [
            .success(HTTPFetched(status: 302, body: [])), .success(HTTPFetched(status: 404, body: [])),
            .success(HTTPFetched(status: 200, body: Array("other".utf8))), .success(HTTPFetched(status: 200, body: [])),
            .failure(.unreachable("connection refused")), .failure(.tooSlow), .failure(.tooLong(limit: 64)),
        ]
        var words: Set<String> = []
        for answer in answers {
            let attestor = try attestor(FixedFetcher(answer: answer))
            do throws(NodeAttestationError) {
                _ = try await attestor.attest(payload(), context: context(), exchange: DeafNode(answer: []))
                Issue.record("let in")
            } catch { words.insert("\(error)") }
        }
        #expect(words.count == 1, "a node must not learn what listens where")
    }

    @Test("Broken evidence is refused as such", arguments: brokenPayloads.indices)
    func brokenEvidence(index: Int) async throws {
        #expect(try await refusal(brokenPayloads[index], LoopbackFetcher()) == .malformed)
    }

    @Test("Each attestation has a nonce of its own")
    func nonces() async throws {
        let fetcher = EchoFetcher()
        let attestor = try attestor(fetcher)
        for _ in 0..<20 { _ = try await attestor.attest(payload(), context: .now(), exchange: fetcher) }
        #expect(fetcher.nonces.withLock { Set($0).count } == 20)
    }

    @Test("Settings that let anybody on a host speak for it again and again are refused")
    func settings() throws {
        let patterns = [try #require(HostPattern("a.example.org"))]
        #expect(HTTPChallengeSettings(patterns: []) == nil)
        #expect(HTTPChallengeSettings(patterns: patterns, isFirstUseOnly: false) == nil)
        #expect(HTTPChallengeSettings(patterns: patterns, requiredPort: 8080, isFirstUseOnly: false) == nil)
        #expect(HTTPChallengeSettings(patterns: patterns, requiredPort: 80, isFirstUseOnly: false) != nil)
        #expect(HTTPChallengeSettings(patterns: patterns, allowsHighPorts: false, isFirstUseOnly: false) != nil)
        #expect(HTTPChallengeSettings(patterns: patterns) != nil)
    }

    @Test(
        "Patterns that could match anything, or nothing, are refused",
        arguments: [
            "*", "*.org", "*.*", "a.*", "", "10.0.0.1", "localhost", "a b", "*.example.o*", "http://a.org",
        ])
    func patterns(text: String) { #expect(HostPattern(text) == nil) }

    private func payload(
        hostname: String = "node-1.example.org", agent: String = "default", port: Int = 80
    ) -> [UInt8] {
        let value: JSONValue = .members([
            "hostname": .string(hostname), "agentname": .string(agent), "port": .integer(port),
        ])
        return Array(value.compactText.utf8)
    }

    private func context() throws(NodeAttestationError) -> NodeAttestationContext {
        do { return try .now() } catch { throw .malformed("\(error)") }
    }

    private func attestor(
        _ fetcher: any HTTPFetcher, port: Int? = nil, isFirstUseOnly: Bool = true
    ) throws -> HTTPChallengeAttestor {
        let patterns = [try #require(HostPattern("node-*.example.org"))]
        return HTTPChallengeAttestor(
            try #require(
                HTTPChallengeSettings(patterns: patterns, requiredPort: port, isFirstUseOnly: isFirstUseOnly)),
            fetcher: fetcher, resolver: FixedResolver())
    }

    private func refusal(_ payload: [UInt8], _ fetcher: any HTTPFetcher) async throws -> Outcome {
        let (attestor, context) = (try attestor(fetcher), try NodeAttestationContext.now())
        return await outcome { () async throws(NodeAttestationError) in
            try await attestor.attest(payload, context: context, exchange: DeafNode(answer: []))
        }
    }
}

/// Notes whom it was to ask, and asks this machine instead, where a prover listens.
private final class LoopbackFetcher: HTTPFetcher {
    let asked = Mutex<[String]>([])
    let hosts = Mutex<[String]>([])
    let listening = Mutex<UInt64>(0)

    func fetch(_ request: HTTPFetch) async throws(HTTPFetchError) -> HTTPFetched {
        asked.withLock { $0.append(request.url) }
        hosts.withLock { $0 += request.headers.filter { $0.name == "Host" }.map(\.value) }
        let path = request.url.split(separator: "/", omittingEmptySubsequences: false).dropFirst(3).joined(
            separator: "/")
        return try await AsyncHTTPFetcher().fetch(
            HTTPFetch(
                url: "http://127.0.0.1:\(listening.withLock { $0 })/\(path)", deadline: request.deadline,
                maximumBody: request.maximumBody))
    }
}

/// A node and its web server in one: shows what it was challenged with.
private final class EchoFetcher: HTTPFetcher, ChallengeExchange {
    let nonces = Mutex<[String]>([])
    let asked = Mutex<[String]>([])

    func answer(to challenge: [UInt8]) async throws(NodeAttestationError) -> [UInt8] {
        let nonce = (try? JSONValue(parsing: challenge))?.object?["nonce"]?.string ?? ""
        nonces.withLock { $0.append(nonce) }
        return []
    }

    func fetch(_ request: HTTPFetch) async throws(HTTPFetchError) -> HTTPFetched {
        asked.withLock { $0.append(request.url) }
        return HTTPFetched(status: 200, body: Array("\(nonces.withLock { $0.last ?? "" })\n".utf8))
    }
}

private struct FixedFetcher: HTTPFetcher {
    let answer: Result<HTTPFetched, HTTPFetchError>

    func fetch(_ request: HTTPFetch) async throws(HTTPFetchError) -> HTTPFetched { try answer.get() }
}

/// Leads every name to the same addresses.
private struct FixedResolver: HostResolver {
    var addresses = [HostAddress("192.0.2.7")].compactMap(\.self)

    func addresses(of name: String) async -> [HostAddress] { addresses }
}
