import SPIFFE
import Testing

@Suite("Workload endpoints")
struct WorkloadEndpointTests {
    @Test(
        "accepts the addresses that the documents allow, and writes them back",
        arguments: [
            ("E01", "unix:///run/agent.sock", .unix(path: "/run/agent.sock"), "unix:///run/agent.sock"),
            ("E01", "unix:/run/agent.sock", .unix(path: "/run/agent.sock"), "unix:///run/agent.sock"),
            ("E05", "tcp://127.0.0.1:8000", .tcp(address: "127.0.0.1", port: 8000), "tcp://127.0.0.1:8000"),
            ("E05", "tcp://[::1]:8000", .tcp(address: "::1", port: 8000), "tcp://[::1]:8000"),
            ("E05", "tcp://[::ffff:1.2.3.4]:1", .tcp(address: "::ffff:1.2.3.4", port: 1), "tcp://[::ffff:1.2.3.4]:1"),
            (
                "E05", "tcp://[1:2:3:4:5:6:7:8]:1", .tcp(address: "1:2:3:4:5:6:7:8", port: 1),
                "tcp://[1:2:3:4:5:6:7:8]:1"
            ),
            ("E05", "tcp://[fe80::]:65535", .tcp(address: "fe80::", port: 65535), "tcp://[fe80::]:65535"),
        ] as [(String, String, WorkloadEndpoint, String)])
    func accepts(_ row: String, _ text: String, _ endpoint: WorkloadEndpoint, _ written: String) throws {
        let parsed = try WorkloadEndpoint(text)
        #expect(parsed == endpoint, "\(row)")
        #expect(parsed.description == written, "\(row)")
        #expect(try WorkloadEndpoint(written) == endpoint, "\(row)")
    }

    @Test(
        "refuses everything else",
        arguments: [
            ("E02", "unix://run/agent.sock"), ("E02", "unix://localhost/run/agent.sock"), ("E03", "unix:///"),
            ("E03", "unix:/"), ("E03", "unix:///run/"), ("E04", "unix://"), ("E04", "unix:"), ("E04", "unix:a.sock"),
            ("E04", "/run/a.sock"), ("E04", "unix:///a?x=1"), ("E04", "unix:///a#f"), ("E04", "unix:///a?"),
            ("E04", "unix:////a"), ("E04", "unix:///a\u{0}b"), ("E04", "http://1.2.3.4:5"), ("E04", "UNIX:///a"),
            ("E04", " unix:///a"), ("E06", "tcp://localhost:8000"), ("E06", "tcp://a.example:8000"),
            ("E07", "tcp://127.0.0.1"), ("E07", "tcp://127.0.0.1:"), ("E07", "tcp://127.0.0.1:8000/"),
            ("E07", "tcp://127.0.0.1:8000/foo"), ("E07", "tcp:127.0.0.1:80"), ("E07", "tcp://u@127.0.0.1:80"),
            ("E07", "tcp://127.0.0.1:80?q"), ("E07", "tcp://127.0.0.1:80#f"), ("E07", "tcp://:80"),
            ("E07", "tcp://::1:80"), ("E07", "tcp://[::1]"), ("E07", "tcp://[127.0.0.1]:80"),
            ("E08", "tcp://1.2.3.4:99999"), ("E08", "tcp://1.2.3.4:65536"), ("E08", "tcp://1.2.3.4:0"),
            ("E08", "tcp://1.2.3.4:+80"), ("E08", "tcp://1.2.3.4:-1"), ("E08", "tcp://1.2.3.4: 80"),
            ("WLEP-21", "tcp://256.0.0.1:80"), ("WLEP-21", "tcp://1.2.3:80"), ("WLEP-21", "tcp://01.2.3.4:80"),
            ("WLEP-21", "tcp://1.2.3.4.5:80"), ("WLEP-21", "tcp://[::1::]:80"), ("WLEP-21", "tcp://[1:2]:80"),
            ("WLEP-21", "tcp://[:::]:80"), ("WLEP-21", "tcp://[::12345]:80"), ("WLEP-21", "tcp://[::g]:80"),
            ("WLEP-21", "tcp://[fe80::1%25lo]:80"), ("WLEP-21", "tcp://[1:2:3:4:5:6:7:8:9]:80"),
            ("WLEP-21", "tcp://[::1:2:3:4:5:6:7:8]:80"), ("WLEP-21", "tcp://[1.2.3.4::]:80"),
            ("WLEP-21", "tcp://[]:80"),
            ("WLEP-19", ""), ("WLEP-19", "npipe:agent"),
        ])
    func refuses(_ row: String, _ text: String) {
        let error = #expect(throws: SPIFFEError.self, "\(row)") { try WorkloadEndpoint(text) }
        #expect(error?.code == .invalidEndpoint, "\(row)")
    }

    @Test(
        "E04 sees a query or fragment also where a combining mark follows",
        arguments: ["unix:///a?\u{301}x=1", "unix:///a#\u{301}f"])
    func refusesBehindCombiningMark(_ text: String) {
        let error = #expect(throws: SPIFFEError.self) { try WorkloadEndpoint(text) }
        #expect(error?.code == .invalidEndpoint)
    }

    @Test(
        "WLEP-20 takes a slash for a slash also where a combining mark follows",
        arguments: [
            ("unix:/\u{301}/a", "/\u{301}/a"), ("unix:///\u{301}", "/\u{301}"), ("unix:///a/\u{301}", "/a/\u{301}"),
        ])
    func readsBehindCombiningMark(_ text: String, _ path: String) throws {
        guard case .unix(let read) = try WorkloadEndpoint(text) else {
            Issue.record("not a socket path: \(text)")
            return
        }
        #expect(read.utf8.elementsEqual(path.utf8))
    }

    @Test("WLEP-20 refuses an authority also where it is nothing but a combining mark")
    func refusesCombiningAuthority() {
        let error = #expect(throws: SPIFFEError.self) { try WorkloadEndpoint("unix://\u{301}/a") }
        #expect(error?.code == .invalidEndpoint)
    }

    @Test("E09 names the variable that the documents name, and guesses no default")
    func environment() {
        #expect(WorkloadEndpoint.environmentVariable == "SPIFFE_ENDPOINT_SOCKET")
        let error = #expect(throws: SPIFFEError.self) { try WorkloadEndpoint("") }
        #expect(error?.code == .invalidEndpoint)
    }
}
