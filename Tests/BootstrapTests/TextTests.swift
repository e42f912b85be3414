import Bootstrap
import Testing

@Suite("Durations as text")
struct DurationTextTests {
    @Test(
        "reads durations as people write them",
        arguments: [
            ("1ms", .milliseconds(1)), ("500ms", .milliseconds(500)), ("90s", .seconds(90)), ("15m", .seconds(900)),
            ("24h", .seconds(86_400)), ("7d", .seconds(604_800)), ("1h30m", .seconds(5400)), ("007s", .seconds(7)),
            ("1d1h1m1s1ms", .milliseconds(90_061_001)), ("0h5s", .seconds(5)), ("36499d", .seconds(36_499 * 86_400)),
        ] as [(String, Duration)])
    func reads(_ text: String, _ duration: Duration) {
        #expect(DurationText.parse(text) == duration)
    }

    @Test(
        "refuses everything else",
        arguments: [
            "", "0s", "0", "5", "s", "1", "1x", "1 s", " 1s", "1s ", "1s\n", "-1s", "+1s", "1.5h", "1,5h", "1S", "1H",
            "1sec",
            "1w", "1y", "1h30", "h1", "1ss", "\u{661}s", "\u{FF11}s", "9999999999999999s", "999999999999999d", "36500d",
            "1e3s", "0x1s", "1\u{33B3}",
        ])
    func refuses(_ text: String) {
        #expect(DurationText.parse(text) == nil)
    }

    @Test("refuses a hundred years also when they are made of several parts", arguments: ["36499d36499d", "36499d24h"])
    func tooLongInSum(_ text: String) {
        #expect(DurationText.parse(text) == nil)
    }

    @Test("survives a text of very many parts")
    func manyParts() {
        #expect(DurationText.parse(String(repeating: "1d", count: 1000)) == .seconds(1000 * 86_400))
    }
}

@Suite("Server addresses")
struct ServerAddressTests {
    @Test(
        "reads host and port, and writes them back",
        arguments: [
            ("127.0.0.1:8081", "127.0.0.1", 8081), ("issuer.example:1", "issuer.example", 1),
            ("[::1]:65535", "::1", 65_535), ("localhost:443", "localhost", 443),
        ])
    func reads(_ text: String, host: String, port: Int) throws {
        let address = try ServerAddress(text)
        #expect(address.host == host)
        #expect(address.port == port)
        #expect(address.description == text)
    }

    @Test(
        "refuses what is not host:port, and says how it is written",
        arguments: [
            "", ":", "host", "host:", ":80", "host:0", "host:65536", "host:-1", "host:http", "host: 80", "::1:80",
            "[]:80",
            "http://host:80", "host:80/path", "host/x:80", "[::1]", "host:80:81",
        ])
    func refuses(_ text: String) {
        let failure = #expect(throws: Failure.self) { try ServerAddress(text) }
        #expect(
            failure
                == Failure(
                    .configuration, "'\(text)' is not a server address",
                    hint: "write it as host:port, such as 127.0.0.1:8081"))
    }

    @Test(
        "refuses a bracket that is not closed, or closed and not opened",
        arguments: ["[::1:8081", "[host:80", "::1]:80"])
    func unbalancedBracket(_ text: String) {
        let failure = #expect(throws: Failure.self) { try ServerAddress(text) }
        #expect(failure?.status == .configuration)
    }

    @Test("refuses a port with a sign")
    func signedPort() {
        let failure = #expect(throws: Failure.self) { try ServerAddress("host:+80") }
        #expect(failure?.status == .configuration)
    }
}

@Suite("Failures")
struct FailureTests {
    @Test("name what went wrong, and the next step below it")
    func text() {
        #expect("\(Failure(.refused, "no such entry", hint: "list them"))" == "error: no such entry\nhint: list them")
        #expect("\(Failure(.usage, "what"))" == "error: what")
    }

    @Test("end with the statuses of the contract")
    func statuses() {
        let statuses: [(Bootstrap.ExitStatus, Int32)] = [
            (.done, 0), (.refused, 1), (.usage, 64), (.unreachable, 69), (.cannotCreate, 73), (.notPermitted, 77),
            (.configuration, 78),
        ]
        for (status, number) in statuses { #expect(status.rawValue == number) }
    }
}
