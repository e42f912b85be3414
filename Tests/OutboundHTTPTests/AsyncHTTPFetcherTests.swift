import Foundation
import NIOCore
import NIOSSL
import OutboundHTTP
import SPIFFE
import Synchronization
import TestSupport
import Testing
import X509

@Suite("Requests to somebody who may be hostile", .timeLimit(.minutes(1)))
struct AsyncHTTPFetcherTests {
    private let fetcher = AsyncHTTPFetcher()

    // MARK: URLs

    @Test(
        "URLs that are not plain are refused, and never repeated",
        arguments: [
            "", "secret", "/secret", "//secret/x", "ftp://secret/", "file:///secret", "unix:///secret", "http://",
            "https:///secret", "http://secret@127.0.0.1/", "http://u:secret@127.0.0.1/", "http://@127.0.0.1/secret",
            "http://127.0.0.1/#secret", "http://127.0.0.1/sec ret", "http://127.0.0.1\\@secret/",
            "http://127.0.0.1/secret\r\nX: y", "http://127.0.0.1:0/secret", "http://127.0.0.1:65536/secret",
            "http://127.0.0.1/" + String(repeating: "secret", count: 400), "http://s\u{E9}cret/",
        ])
    func badURLs(_ url: String) async throws {
        let error = await #expect(throws: HTTPFetchError.self) { try await fetcher.fetch(HTTPFetch(url: url)) }
        guard case .badURL(let detail)? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(!detail.contains("secret"))
    }

    @Test("Without TLS there is nobody to believe")
    func plainWithTrust() async throws {
        for trust in [HTTPFetch.Trust.authorities([]), .verified { _ in true }] {
            let error = await #expect(throws: HTTPFetchError.self) {
                try await fetcher.fetch(HTTPFetch(url: "http://127.0.0.1:1/", trust: trust))
            }
            guard case .badURL? = error else { Issue.record("\(String(describing: error))"); return }
        }
    }

    // MARK: Answers

    @Test("Method, headers and body go out, status and body come back")
    func exchange() async throws {
        try await ScriptedServer.run(.answer("201 Created", body: "hello")) { server in
            let answer = try await fetcher.fetch(
                HTTPFetch(
                    url: "http://127.0.0.1:\(server.port)/a/b?c=d", method: "POST",
                    headers: [("X-Mine", "yes"), ("content-type", "text/plain")], body: Array("ping".utf8)))
            #expect(answer.status == 201)
            #expect(answer.body == Array("hello".utf8))
            let request = try #require(server.requests.first)
            #expect(request.hasPrefix("POST /a/b?c=d HTTP/1.1\r\n"))
            #expect(request.lowercased().contains("x-mine: yes\r\n"))
            #expect(
                request.contains("Host: 127.0.0.1:\(server.port)\r\n")
                    || request.contains("host: 127.0.0.1:\(server.port)\r\n"))
        }
    }

    @Test("A redirect is an answer like any other", arguments: ["301", "302", "303", "307", "308"])
    func redirects(_ status: String) async throws {
        try await ScriptedServer.run(.answer("\(status) Elsewhere", headers: ["Location: /other"])) { server in
            let answer = try await fetcher.fetch(HTTPFetch(url: "http://127.0.0.1:\(server.port)/"))
            #expect("\(answer.status)" == status)
            #expect(server.requests.count == 1)
        }
    }

    @Test("A body is read up to its limit and not one byte further", arguments: [false, true])
    func limits(isChunked: Bool) async throws {
        let whole =
            isChunked
            ? ScriptedServer.Script(
                parts: [
                    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", "5\r\nworld\r\n0\r\n\r\n",
                ])
            : .answer(body: "helloworld")
        try await ScriptedServer.run(whole) { server in
            let url = "http://127.0.0.1:\(server.port)/"
            let answer = try await fetcher.fetch(HTTPFetch(url: url, maximumBody: 10))
            #expect(answer.body.count == 10)
            await #expect(throws: HTTPFetchError.tooLong(limit: 9)) {
                try await fetcher.fetch(HTTPFetch(url: url, maximumBody: 9))
            }
        }
    }

    @Test("Who says nothing, or too little at a time, is given up at the deadline")
    func deadline() async throws {
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
        let scripts = [
            ScriptedServer.Script(parts: [], hangsUp: false),
            ScriptedServer.Script(parts: ["HTTP/1.1 200"], hangsUp: false),
            ScriptedServer.Script(
                parts: [head] + Array(repeating: "x", count: 1000), pause: .milliseconds(50), hangsUp: false),
        ]
        for script in scripts {
            try await ScriptedServer.run(script) { server in
                let started = ContinuousClock().now
                await #expect(throws: HTTPFetchError.tooSlow) {
                    try await fetcher.fetch(
                        HTTPFetch(url: "http://127.0.0.1:\(server.port)/", deadline: .milliseconds(400)))
                }
                #expect(ContinuousClock().now - started < .seconds(10))
            }
        }
    }

    @Test("A body that is cut off is no answer")
    func cutOff() async throws {
        let script = ScriptedServer.Script(parts: ["HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"])
        try await ScriptedServer.run(script) { server in
            let error = await #expect(throws: HTTPFetchError.self) {
                try await fetcher.fetch(HTTPFetch(url: "http://127.0.0.1:\(server.port)/"))
            }
            guard case .unreachable? = error else { Issue.record("\(String(describing: error))"); return }
        }
    }

    @Test("Where nobody listens, nobody is reached")
    func nobody() async throws {
        let error = await #expect(throws: HTTPFetchError.self) {
            try await fetcher.fetch(HTTPFetch(url: "http://127.0.0.1:1/", deadline: .seconds(5)))
        }
        guard case .unreachable? = error else { Issue.record("\(String(describing: error))"); return }
    }

    // MARK: TLS

    /// A server's chain of an authority, valid on the machine's own clock.
    private func leaf(of authority: TestCA, dnsNames: [String] = ["localhost"]) throws -> NIOSSLContext {
        let leaf = try authority.leaf {
            $0.dnsNames = dnsNames
            $0.validity = Self.validity
        }
        let certificate = try NIOSSLCertificate(bytes: leaf.certificate.derBytes(), format: .der)
        return try NIOSSLContext(
            configuration: .makeServerConfiguration(
                certificateChain: [.certificate(certificate)],
                privateKey: .privateKey(try NIOSSLPrivateKey(bytes: Array(leaf.pkcs8), format: .der))))
    }

    private static var validity: Range<Date> { Date(timeIntervalSinceNow: -3600)..<Date(timeIntervalSinceNow: 3600) }

    private func authority() throws -> TestCA { try TestCA { $0.validity = Self.validity } }

    private func fetch(_ port: Int, host: String = "localhost", trust: HTTPFetch.Trust) async throws -> HTTPFetched {
        try await fetcher.fetch(HTTPFetch(url: "https://\(host):\(port)/", trust: trust))
    }

    private func expectUntrusted(
        _ server: ScriptedServer, host: String = "localhost", trust: HTTPFetch.Trust,
        sourceLocation: SourceLocation = #_sourceLocation
    ) async {
        let error = await #expect(throws: HTTPFetchError.self, sourceLocation: sourceLocation) {
            try await fetch(server.port, host: host, trust: trust)
        }
        if case .untrusted? = error {
        } else {
            Issue.record("\(String(describing: error))", sourceLocation: sourceLocation)
        }
        #expect(server.requests.isEmpty, "the request went out", sourceLocation: sourceLocation)
    }

    @Test("Given authorities vouch for the names in their certificates, and for nothing else")
    func authorities() async throws {
        let (known, stranger) = (try authority(), try authority())
        let trust = HTTPFetch.Trust.authorities([known.certificate])
        try await ScriptedServer.run(.answer(body: "ok"), tls: leaf(of: known)) { server in
            let answer = try await fetch(server.port, trust: trust)
            #expect(answer.body == Array("ok".utf8))
        }
        try await ScriptedServer.run(.answer(body: "ok"), tls: leaf(of: known, dnsNames: ["other.example"])) { server in
            await expectUntrusted(server, trust: trust)
        }
        try await ScriptedServer.run(.answer(body: "ok"), tls: leaf(of: stranger)) { server in
            await expectUntrusted(server, trust: trust)
            await expectUntrusted(server, trust: .authorities([]))
            await expectUntrusted(server, trust: .web)
        }
    }

    @Test("What a closure admits is talked to, whatever the host is called; what it refuses hears nothing")
    func closures() async throws {
        let known = try authority()
        try await ScriptedServer.run(.answer(body: "ok"), tls: leaf(of: known, dnsNames: [])) { server in
            let shown = Mutex<[[Certificate]]>([])
            let answer = try await fetch(
                server.port, host: "127.0.0.1",
                trust: .verified { chain in
                    shown.withLock { $0.append(chain) }
                    return true
                })
            #expect(answer.body == Array("ok".utf8))
            #expect(server.requests.first?.lowercased().contains("host: 127.0.0.1:\(server.port)\r\n") == true)
            #expect(shown.withLock { $0.map(\.count) } == [1])
        }
        try await ScriptedServer.run(.answer(body: "ok"), tls: leaf(of: known)) { server in
            await expectUntrusted(server, trust: .verified { _ in false })
        }
    }
}
