#if AsyncHTTPClient
    // An HTTP client that calls as a workload, and talks to one service alone.

    import AsyncHTTPClient
    import Foundation
    import NIOCore
    import NIOHTTP1
    import SPIFFE
    import WorkloadIdentity
    import WorkloadIdentityAsyncHTTPClient

    struct Options {
        static let usage = """
            usage: example-http-client --expect ID [--audience NAME] URL

            With an audience, the request also carries a JWT-SVID for it.

            example: SPIFFE_ENDPOINT_SOCKET=unix:///run/mintmark/workload.sock \\
                example-http-client --expect spiffe://prod.example/orders https://127.0.0.1:8443/whoami
            """

        var expected: SPIFFEID
        var audience: String?
        var url: String

        init(_ arguments: [String]) throws {
            var expected: SPIFFEID?
            var urls: [String] = []
            var rest = arguments[...]
            while let argument = rest.popFirst() {
                switch argument {
                case "--expect": expected = try SPIFFEID(rest.popFirst() ?? "")
                case "--audience":
                    guard let name = rest.popFirst() else { complain(Self.usage, status: 64) }
                    audience = name
                case "--help", "-h":
                    print(Self.usage)
                    exit(0)
                case _ where argument.hasPrefix("-"): complain(Self.usage, status: 64)
                default: urls.append(argument)
                }
            }
            guard let expected, let url = urls.first, urls.count == 1 else { complain(Self.usage, status: 64) }
            (self.expected, self.url) = (expected, url)
        }
    }

    func complain(_ text: String, status: Int32) -> Never {
        try? FileHandle.standardError.write(contentsOf: Data((text + "\n").utf8))
        exit(status)
    }

    /// Asks once, and returns the status and what to print.
    func ask(_ options: Options, tokens: BearerTokens?, as source: X509Source) async throws -> (UInt, String) {
        let client = WorkloadHTTPClient(source: source, authorizing: .id(options.expected), tokens: tokens)
        do {
            let response = try await client.execute(HTTPClientRequest(url: options.url), timeout: .seconds(10))
            let body = String(buffer: try await response.body.collect(upTo: 1 << 20))
            try await client.shutdown()
            return (response.status.code, body)
        } catch {
            try await client.shutdown()
            throw error
        }
    }

    do {
        let options = try Options(Array(CommandLine.arguments.dropFirst()))
        let source = try await X509Source.start()
        var tokenSource: JWTSource?
        var tokens: BearerTokens?
        if let audience = options.audience {
            let source = try await JWTSource.start()
            tokenSource = source
            tokens = BearerTokens(source, for: audience)
        }
        let (status, body) = try await ask(options, tokens: tokens, as: source)
        print(body, terminator: "")
        await tokenSource?.close()
        await source.close()
        if !(200..<300).contains(status) { complain("error: the service answered \(status)", status: 1) }
    } catch let refusal as PeerRefusal {
        complain("refused: \(refusal)", status: 1)
    } catch {
        complain("error: \(error)", status: 1)
    }
#endif
