import SPIFFE
import Testing

@Suite("SPIFFE IDs")
struct SPIFFEIDTests {
    @Test(
        "accepts the IDs that the documents allow",
        arguments: [
            ("S01", "spiffe://example.org"), ("S03", "spiffe://example.org/ns/a/sa/b-1_c.d"),
            ("S05", "spiffe://example.org/A"), ("S06", "spiffe://1.2.3.4/a"), ("S06", "spiffe://_/x"),
            ("S06", "spiffe://-/x"), ("S06", "spiffe://a../x"), ("S10", "spiffe://a/..."), ("S10", "spiffe://a/..x"),
            ("S10", "spiffe://a/.x"),
        ])
    func accepts(_ row: String, _ text: String) throws {
        let id = try SPIFFEID(text)
        #expect(id.description == text, "\(row)")
        #expect(try SPIFFEID(trustDomain: id.trustDomain, path: id.path) == id)
    }

    @Test(
        "refuses what breaks a rule, and says which part is wrong",
        arguments: [
            ("S02", "spiffe://example.org/", .invalidID), ("S04", "SPIFFE://example.org/a", .invalidID),
            ("S04", "Spiffe://example.org/a", .invalidID), ("S04", "spiffe://Example.org/a", .invalidTrustDomain),
            ("S07", "spiffe://[::1]/a", .invalidTrustDomain), ("S07", "spiffe://a:80/x", .invalidTrustDomain),
            ("S07", "spiffe://a:/x", .invalidTrustDomain), ("S07", "spiffe://u@a/x", .invalidTrustDomain),
            ("S07", "spiffe://u:p@a/x", .invalidTrustDomain), ("S08", "spiffe://a/x?q=1", .invalidID),
            ("S08", "spiffe://a/x?", .invalidID), ("S08", "spiffe://a/x#", .invalidID),
            ("S08", "spiffe://a?q", .invalidTrustDomain), ("S08", "spiffe://a#f", .invalidTrustDomain),
            ("S09", "spiffe://a//x", .invalidID), ("S09", "spiffe://a/x/", .invalidID),
            ("S09", "spiffe://a/.", .invalidID), ("S09", "spiffe://a/..", .invalidID),
            ("S09", "spiffe://a/./x", .invalidID), ("S09", "spiffe://a/x/../y", .invalidID),
            ("S09", "spiffe://a//", .invalidID), ("S11", "spiffe://a/%61", .invalidID),
            ("S11", "spiffe://%61/x", .invalidTrustDomain), ("S11", "spiffe://a/~x", .invalidID),
            ("S11", "spiffe://a/x:y", .invalidID), ("S12", " spiffe://a/x", .invalidID),
            ("S12", "spiffe://a/x\n", .invalidID), ("S12", "spiffe://a\n/x", .invalidTrustDomain),
            ("S12", "spiffe://a/\u{FF}", .invalidID), ("S12", "spiffe://a/\u{1F511}", .invalidID),
            ("S12", "spiffe://a/x\u{0}", .invalidID), ("S12", "spiffe://a\u{0}/x", .invalidTrustDomain),
            ("S13", "", .invalidID), ("S13", "spiffe://", .invalidTrustDomain),
            ("S13", "spiffe:///x", .invalidTrustDomain), ("S13", "spiffe:a/x", .invalidID),
            ("S13", "spiffe:/a/x", .invalidID), ("S13", "https://a/x", .invalidID), ("S13", "example.org", .invalidID),
            ("ID-24", "spiffe://a/\u{212A}", .invalidID), ("ID-24", "spiffe://a/e\u{301}", .invalidID),
        ] as [(String, String, SPIFFEError.Code)])
    func refuses(_ row: String, _ text: String, code: SPIFFEError.Code) {
        let error = #expect(throws: SPIFFEError.self, "\(row)") { try SPIFFEID(text) }
        #expect(error?.code == code, "\(row) \(text.debugDescription)")
    }

    @Test("S01 knows the trust domain's own ID from a workload's")
    func hasPath() throws {
        let own = try SPIFFEID("spiffe://example.org")
        #expect(!own.hasPath)
        #expect(own == (try TrustDomain.example.id))
        #expect(try SPIFFEID("spiffe://example.org/w").hasPath)
    }

    @Test("S05 compares paths by case")
    func comparesByCase() throws {
        #expect(try SPIFFEID("spiffe://example.org/A") != SPIFFEID("spiffe://example.org/a"))
    }

    @Test("S12 allows a byte of a path exactly when the documents name it", arguments: UInt8.min...UInt8.max)
    func everyByteOfAPath(_ byte: UInt8) {
        let allowed = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_".utf8.contains(byte)
        // Alone, the bytes from 0x80 up are no UTF-8; the scalars of the same numbers are.
        let raw = String(decoding: Array("spiffe://example.org/x".utf8) + [byte] + Array("y".utf8), as: UTF8.self)
        let scalar = "spiffe://example.org/x\(Character(Unicode.Scalar(byte)))y"
        // A slash is no byte of a segment, but between two it is fine.
        let isAccepted = allowed || byte == UInt8(ascii: "/")
        #expect(((try? SPIFFEID(raw)) != nil) == isAccepted)
        #expect(((try? SPIFFEID(scalar)) != nil) == isAccepted)
    }

    @Test("S15 accepts 2048 bytes and refuses 2049")
    func longest() throws {
        let prefix = "spiffe://example.org/"
        let longest = prefix + String(repeating: "x", count: SPIFFEID.maximumLength - prefix.utf8.count)
        #expect(longest.utf8.count == 2048)
        #expect(try SPIFFEID(longest).description == longest)
        let parsed = #expect(throws: SPIFFEError.self) { try SPIFFEID(longest + "x") }
        #expect(parsed?.code == .invalidID)
        let path = String(longest.dropFirst("spiffe://example.org".count))
        #expect(try SPIFFEID(trustDomain: TrustDomain.example, path: path).description == longest)
        let joined = #expect(throws: SPIFFEError.self) {
            try SPIFFEID(trustDomain: TrustDomain.example, path: path + "x")
        }
        #expect(joined?.code == .invalidID)
    }

    @Test("joins a trust domain and a path by the same rules", arguments: ["x", "/", "/x/", "//x", "/..", "/a b", "?"])
    func refusesPath(_ path: String) {
        let error = #expect(throws: SPIFFEError.self) { try SPIFFEID(trustDomain: TrustDomain.example, path: path) }
        #expect(error?.code == .invalidID)
    }

    @Test("orders by trust domain, then by path")
    func order() throws {
        let texts = ["spiffe://a", "spiffe://a/a", "spiffe://a/b", "spiffe://b", "spiffe://b/a"]
        #expect(try texts.reversed().map { try SPIFFEID($0) }.sorted().map(\.description) == texts)
    }
}

@Suite("Trust domains")
struct TrustDomainTests {
    @Test("S06 treats the name opaquely", arguments: ["example.org", "1.2.3.4", "_", "-", "a..", "0", "a_b-c.d"])
    func accepts(_ name: String) throws {
        let trustDomain = try TrustDomain(name)
        #expect(trustDomain.name == name)
        #expect(trustDomain.description == name)
        #expect(trustDomain.id.description == "spiffe://\(name)")
    }

    @Test(
        "refuses what is not a bare name",
        arguments: ["", "Example.org", "spiffe://example.org", "example.org/", "a b", "a:1", "\u{212A}", "e\u{301}"])
    func refuses(_ name: String) {
        let error = #expect(throws: SPIFFEError.self) { try TrustDomain(name) }
        #expect(error?.code == .invalidTrustDomain)
    }

    @Test("S12 allows a byte of a name exactly when the documents name it", arguments: UInt8.min...UInt8.max)
    func everyByte(_ byte: UInt8) {
        let allowed = "abcdefghijklmnopqrstuvwxyz0123456789.-_".utf8.contains(byte)
        let raw = String(decoding: [UInt8(ascii: "x"), byte, UInt8(ascii: "y")], as: UTF8.self)
        #expect(((try? TrustDomain(raw)) != nil) == allowed)
        #expect(((try? TrustDomain("x\(Character(Unicode.Scalar(byte)))y")) != nil) == allowed)
    }

    @Test("S14 accepts 255 bytes and refuses 256")
    func longest() throws {
        let longest = String(repeating: "a", count: 255)
        #expect(try TrustDomain(longest).name == longest)
        #expect(try SPIFFEID("spiffe://\(longest)/x").trustDomain.name == longest)
        let error = #expect(throws: SPIFFEError.self) { try TrustDomain(longest + "a") }
        #expect(error?.code == .invalidTrustDomain)
    }
}
