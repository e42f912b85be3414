import Foundation
import IssuerAPIProtos
import SPIFFE
import Testing

import CommandLine

@Suite("Entries as shown")
struct EntryRenderingTests {
    private static func id(_ path: String) -> Spire_Api_Types_SPIFFEID {
        var id = Spire_Api_Types_SPIFFEID()
        id.trustDomain = "example.org"
        id.path = path
        return id
    }

    private static func selector(_ type: String, _ value: String) -> Spire_Api_Types_Selector {
        var selector = Spire_Api_Types_Selector()
        selector.type = type
        selector.value = value
        return selector
    }

    /// Nothing but what every entry has.
    private static var plain: Mintmark_V1_Entry {
        var termed = Mintmark_V1_Entry()
        var entry = Spire_Api_Types_Entry()
        entry.id = "e1"
        entry.spiffeID = id("/w")
        entry.parentID = id("/node/1")
        entry.selectors = [selector("unix", "uid:1000")]
        entry.revisionNumber = 0
        entry.createdAt = 1_800_000_000
        termed.entry = entry
        termed.terms = .init()
        return termed
    }

    /// Details in which nothing has its default.
    private static var details: Mintmark_V1_Details {
        var group = Mintmark_V1_Rules.Group()
        group.selectors = [selector("unix", "gid:1")]
        var details = Mintmark_V1_Details()
        details.description_p = "d"
        details.owner = "o"
        details.purpose = "p"
        details.labels = ["b": "2", "a": "1"]
        details.class = .tool
        details.notBefore = 1_800_000_000
        details.disabled = true
        details.audiences = ["api"]
        details.keyType = "ec-p384"
        details.perInstanceKeys = true
        details.rules.anyOf = [group]
        details.rules.noneOf = [selector("unix", "gid:0")]
        details.rules.digestSets = ["release"]
        details.idTemplate = "{unix:user}"
        return details
    }

    /// Everything that an entry can have.
    private static var full: Mintmark_V1_Entry {
        var termed = plain
        var entry = termed.entry
        entry.id = "e2"
        entry.selectors.append(selector("unix", "path:/bin/a b"))
        entry.x509SvidTtl = 600
        entry.jwtSvidTtl = 60
        entry.hint = "internal"
        entry.dnsNames = ["a.example", "b.example"]
        entry.federatesWith = ["other.org"]
        entry.admin = true
        entry.downstream = true
        entry.storeSvid = true
        entry.expiresAt = 1_800_003_600
        entry.revisionNumber = 7
        termed.entry = entry
        termed.terms.minAssurance = 3
        termed.terms.allowJit = true
        termed.details = details
        return termed
    }

    @Test("have the JSON shape of the contract")
    func json() {
        #expect(
            EntryRendering.one(Self.full).text(.json) == """
                {
                  "id": "e2",
                  "spiffe_id": "spiffe://example.org/w",
                  "parent_id": "spiffe://example.org/node/1",
                  "selectors": [
                    "unix:uid:1000",
                    "unix:path:/bin/a b"
                  ],
                  "x509_svid_ttl": 600,
                  "jwt_svid_ttl": 60,
                  "hint": "internal",
                  "dns_names": [
                    "a.example",
                    "b.example"
                  ],
                  "federates_with": [
                    "other.org"
                  ],
                  "admin": true,
                  "downstream": true,
                  "store_svid": true,
                  "min_assurance": 3,
                  "allow_jit": true,
                  "expires_at": "2027-01-15T09:00:00Z",
                  "disable_x509_svid_prefetch": false,
                  "jwt_svid_include_jti": false,
                  "revision": 7,
                  "created_at": "2027-01-15T08:00:00Z",
                  "any_of": [
                    [
                      "unix:gid:1"
                    ]
                  ],
                  "none_of": [
                    "unix:gid:0"
                  ],
                  "digest_sets": [
                    "release"
                  ],
                  "id_template": "{unix:user}",
                  "key_type": "ec-p384",
                  "per_instance_keys": true,
                  "audiences": [
                    "api"
                  ],
                  "not_before": "2027-01-15T08:00:00Z",
                  "disabled": true,
                  "class": "tool",
                  "description": "d",
                  "owner": "o",
                  "purpose": "p",
                  "labels": {
                    "a": "1",
                    "b": "2"
                  }
                }
                """)
    }

    @Test("keep every member where a value is left out, and never say 1970 for never")
    func plainJSON() {
        #expect(
            EntryRendering.value(Self.plain).compactText
                == #"{"id":"e1","spiffe_id":"spiffe://example.org/w","parent_id":"spiffe://example.org/node/1","#
                + #""selectors":["unix:uid:1000"],"x509_svid_ttl":0,"jwt_svid_ttl":0,"hint":"","dns_names":[],"#
                + #""federates_with":[],"admin":false,"downstream":false,"store_svid":false,"#
                + #""min_assurance":0,"allow_jit":false,"expires_at":null,"#
                + #""disable_x509_svid_prefetch":false,"jwt_svid_include_jti":false,"revision":0,"#
                + #""created_at":"2027-01-15T08:00:00Z","any_of":[],"none_of":[],"digest_sets":[],"id_template":null,"#
                + #""key_type":null,"per_instance_keys":false,"audiences":[],"not_before":null,"disabled":false,"#
                + #""class":null,"description":"","owner":"","purpose":"","labels":{}}"#)
    }

    @Test("have the YAML shape of the contract")
    func yaml() {
        #expect(
            EntryRendering.one(Self.full).text(.yaml) == """
                id: "e2"
                spiffe_id: "spiffe://example.org/w"
                parent_id: "spiffe://example.org/node/1"
                selectors:
                - "unix:uid:1000"
                - "unix:path:/bin/a b"
                x509_svid_ttl: 600
                jwt_svid_ttl: 60
                hint: "internal"
                dns_names:
                - "a.example"
                - "b.example"
                federates_with:
                - "other.org"
                admin: true
                downstream: true
                store_svid: true
                min_assurance: 3
                allow_jit: true
                expires_at: "2027-01-15T09:00:00Z"
                disable_x509_svid_prefetch: false
                jwt_svid_include_jti: false
                revision: 7
                created_at: "2027-01-15T08:00:00Z"
                any_of:
                - - "unix:gid:1"
                none_of:
                - "unix:gid:0"
                digest_sets:
                - "release"
                id_template: "{unix:user}"
                key_type: "ec-p384"
                per_instance_keys: true
                audiences:
                - "api"
                not_before: "2027-01-15T08:00:00Z"
                disabled: true
                class: "tool"
                description: "d"
                owner: "o"
                purpose: "p"
                labels:
                  a: "1"
                  b: "2"
                """)
    }

    @Test("are shown to people with what is set, line by line")
    func table() {
        #expect(
            EntryRendering.one(Self.full).text(.table) == """
                ID              e2
                SPIFFE ID       spiffe://example.org/w
                Parent ID       spiffe://example.org/node/1
                Selectors       unix:uid:1000
                                unix:path:/bin/a b
                Assurance       AL3+jit
                X.509-SVID TTL  600 s
                JWT-SVID TTL    60 s
                Hint            internal
                DNS names       a.example
                                b.example
                Federates with  other.org
                Admin           yes
                Downstream      yes
                Expires         2027-01-15T09:00:00Z
                Any of          unix:gid:1
                None of         unix:gid:0
                Digest sets     release
                ID template     {unix:user}
                Key type        ec-p384
                Own keys        for each process
                Audiences       api
                Begins          2027-01-15T08:00:00Z
                Disabled        yes
                Class           tool
                Description     d
                Owner           o
                Purpose         p
                Labels          a=1
                                b=2
                Revision        7
                Created         2027-01-15T08:00:00Z
                """)
        #expect(
            EntryRendering.one(Self.plain).text(.table) == """
                ID              e1
                SPIFFE ID       spiffe://example.org/w
                Parent ID       spiffe://example.org/node/1
                Selectors       unix:uid:1000
                Assurance       AL0
                X.509-SVID TTL  default
                JWT-SVID TTL    default
                Revision        0
                Created         2027-01-15T08:00:00Z
                """)
    }

    @Test("make a list of one line each, and an object with one member")
    func list() {
        let rendering = EntryRendering.list([Self.plain, Self.full])
        #expect(
            rendering.text(.table) == """
                ID  SPIFFE ID               PARENT ID                    LEVEL    SELECTORS
                e1  spiffe://example.org/w  spiffe://example.org/node/1  AL0      unix:uid:1000
                e2  spiffe://example.org/w  spiffe://example.org/node/1  AL3+jit  unix:uid:1000 unix:path:/bin/a b
                """)
        #expect(
            rendering.value
                == .members(["entries": .array([EntryRendering.value(Self.plain), EntryRendering.value(Self.full)])]))
    }

    @Test("say so when there are none, and stay a list for programs")
    func none() {
        let rendering = EntryRendering.list([])
        #expect(rendering.text(.table) == "no entries")
        #expect(rendering.text(.json) == "{\n  \"entries\": []\n}")
        #expect(rendering.text(.yaml) == "entries: []")
    }

    @Test("write a SPIFFE ID on the wire as its two parts, and read it back")
    func wireID() throws {
        for text in ["spiffe://example.org", "spiffe://example.org/a/b"] {
            #expect(Spire_Api_Types_SPIFFEID(try SPIFFEID(text)).text == text)
        }
        #expect(Spire_Api_Types_SPIFFEID(try SPIFFEID("spiffe://example.org/a/b")).path == "/a/b")
    }
}

@Suite("Agents as shown")
struct AgentRenderingTests {
    private static var agent: Spire_Api_Types_Agent {
        var agent = Spire_Api_Types_Agent()
        agent.id.trustDomain = "example.org"
        agent.id.path = "/mintmark/agent/1"
        agent.attestationType = "join_token"
        agent.x509SvidSerialNumber = "255"
        agent.x509SvidExpiresAt = 1_800_000_000
        agent.canReattest = false
        agent.agentVersion = "0.1.0"
        var selector = Spire_Api_Types_Selector()
        selector.type = "node"
        selector.value = "a:b"
        agent.selectors = [selector]
        return agent
    }

    private static var status: Mintmark_V1_NodeStatus {
        var status = Mintmark_V1_NodeStatus()
        (status.bundleSerial, status.lastSeenAt) = (7, 1_799_998_200)
        return status
    }

    @Test("have the JSON shape of the contract")
    func json() {
        #expect(
            AgentRendering.one(Self.agent).text(.json) == """
                {
                  "spiffe_id": "spiffe://example.org/mintmark/agent/1",
                  "attestation_type": "join_token",
                  "serial_number": "ff",
                  "expires_at": "2027-01-15T08:00:00Z",
                  "banned": false,
                  "can_reattest": false,
                  "selectors": [
                    "node:a:b"
                  ],
                  "version": "0.1.0",
                  "bundle_serial": null,
                  "last_seen_at": null
                }
                """)
    }

    @Test("have the YAML shape of the contract, in which a serial number is no number")
    func yaml() {
        var banned = Self.agent
        banned.banned = true
        banned.selectors = []
        banned.x509SvidSerialNumber = "12345678"
        #expect(
            AgentRendering.one(banned).text(.yaml) == """
                spiffe_id: "spiffe://example.org/mintmark/agent/1"
                attestation_type: "join_token"
                serial_number: "bc614e"
                expires_at: "2027-01-15T08:00:00Z"
                banned: true
                can_reattest: false
                selectors: []
                version: "0.1.0"
                bundle_serial: null
                last_seen_at: null
                """)
    }

    @Test("are shown to people")
    func table() {
        #expect(
            AgentRendering.one(Self.agent, Self.status).text(.table) == """
                SPIFFE ID      spiffe://example.org/mintmark/agent/1
                Attested by    join_token
                SVID serial    ff
                SVID expires   2027-01-15T08:00:00Z
                Banned         no
                Can re-attest  no
                Version        0.1.0
                Bundle serial  7
                Last seen      2027-01-15T07:30:00Z
                """)
    }

    @Test("make a list")
    func list() {
        var banned = Self.agent
        banned.banned = true
        #expect(
            AgentRendering.list([Self.agent, banned]).text(.table) == """
                SPIFFE ID                              ATTESTED BY  SVID EXPIRES          LAST SEEN  BANNED  VERSION
                spiffe://example.org/mintmark/agent/1  join_token   2027-01-15T08:00:00Z  never      no      0.1.0
                spiffe://example.org/mintmark/agent/1  join_token   2027-01-15T08:00:00Z  never      yes     0.1.0
                """)
        #expect(
            AgentRendering.list([Self.agent]).value == .members(["agents": .array([AgentRendering.value(Self.agent)])]))
        #expect(AgentRendering.list([]).text(.table) == "no agents")
        #expect(AgentRendering.list([]).text(.json) == "{\n  \"agents\": []\n}")
    }
}

@Suite("Bundles as shown")
struct BundleRenderingTests {
    /// A certificate made once, for its text; nothing trusts it.
    private static let certificate = """
        MIIBnDCCAUOgAwIBAgIEAQKg/zAKBggqhkjOPQQDAjAkMREwDwYDVQQKDAhNaW50
        bWFyazEPMA0GA1UEAwwGZ29sZGVuMB4XDTI3MDExNTA4MDAwMFoXDTI3MDExNjA4
        MDAwMFowJDERMA8GA1UECgwITWludG1hcmsxDzANBgNVBAMMBmdvbGRlbjBZMBMG
        ByqGSM49AgEGCCqGSM49AwEHA0IABHnsn4Xh0WVyATMHysRBeApMJjBJVdNr6syT
        tUBI952LPfhGwQs5heXHuBSlEwZbk3Ax1Mgd/8MEl2WM/w7Chc2jYzBhMA8GA1Ud
        EwEB/wQFMAMBAf8wDgYDVR0PAQH/BAQDAgEGMB8GA1UdEQQYMBaGFHNwaWZmZTov
        L2V4YW1wbGUub3JnMB0GA1UdDgQWBBQrN2xtt9uosSDHiC39/SqnVXtc9zAKBggq
        hkjOPQQDAgNHADBEAiB1fxiWt0ERC3jUT+DDmdDDTcmk1VxfaSG2HR6iOU7uvwIg
        F49o7dtXSVAJaDjN6MM4QjZagwMItY4+B+slPyIf+oE=
        """
    private static let publicKey =
        "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEeeyfheHRZXIBMwfKxEF4CkwmMElV02vqzJO1QEj3nYs9+EbBCzmF5ce4FKUT"
        + "BluTcDHUyB3/wwSXZYz/DsKFzQ=="

    private static func wire() throws -> Spire_Api_Types_Bundle {
        var authority = Spire_Api_Types_X509Certificate()
        authority.asn1 = try #require(Data(base64Encoded: certificate, options: .ignoreUnknownCharacters))
        var key = Spire_Api_Types_JWTKey()
        key.keyID = "k1"
        key.publicKey = try #require(Data(base64Encoded: publicKey))
        key.expiresAt = 1_800_086_400
        var bundle = Spire_Api_Types_Bundle()
        bundle.trustDomain = "example.org"
        bundle.x509Authorities = [authority]
        bundle.jwtAuthorities = [key]
        bundle.sequenceNumber = 7
        bundle.refreshHint = 300
        return bundle
    }

    @Test("have the JSON shape of the contract")
    func json() throws {
        let wire = try Self.wire()
        let summary = try BundleRendering.summary(BundleRendering.bundle(wire), wire)
        let pem = Self.certificate.replacing("\n", with: "\\n")
        #expect(
            summary.prettyText == """
                {
                  "trust_domain": "example.org",
                  "sequence": 7,
                  "refresh_hint": 300,
                  "x509_authorities": [
                    {
                      "serial_number": "0102a0ff",
                      "not_before": "2027-01-15T08:00:00Z",
                      "not_after": "2027-01-16T08:00:00Z",
                      "certificate": "-----BEGIN CERTIFICATE-----\\n\(pem)\\n-----END CERTIFICATE-----\\n"
                    }
                  ],
                  "jwt_authorities": [
                    {
                      "key_id": "k1",
                      "expires_at": "2027-01-16T08:00:00Z"
                    }
                  ]
                }
                """)
    }

    @Test("have the YAML shape of the contract, with the certificate as a block")
    func yaml() throws {
        let wire = try Self.wire()
        let rendering = Rendering(try BundleRendering.summary(BundleRendering.bundle(wire), wire), table: "")
        let pem = Self.certificate.replacing("\n", with: "\n    ")
        #expect(
            rendering.text(.yaml) == """
                trust_domain: "example.org"
                sequence: 7
                refresh_hint: 300
                x509_authorities:
                - serial_number: "0102a0ff"
                  not_before: "2027-01-15T08:00:00Z"
                  not_after: "2027-01-16T08:00:00Z"
                  certificate: |
                    -----BEGIN CERTIFICATE-----
                    \(pem)
                    -----END CERTIFICATE-----
                jwt_authorities:
                - key_id: "k1"
                  expires_at: "2027-01-16T08:00:00Z"
                """)
    }

    @Test("become PEM, a SPIFFE document and a JWK Set")
    func formats() throws {
        let bundle = try BundleRendering.bundle(Self.wire())
        #expect(
            try bundle.pemText() == "-----BEGIN CERTIFICATE-----\n\(Self.certificate)\n-----END CERTIFICATE-----\n")
        let x = "eeyfheHRZXIBMwfKxEF4CkwmMElV02vqzJO1QEj3nYs"
        let y = "PfhGwQs5heXHuBSlEwZbk3Ax1Mgd_8MEl2WM_w7Chc0"
        let key = #"{"kty":"EC","crv":"P-256","x":"\#(x)","y":"\#(y)""#
        let x5c = Self.certificate.replacing("\n", with: "")
        #expect(
            try bundle.spiffeDocument().compactText
                == #"{"keys":[\#(key),"use":"x509-svid","x5c":["\#(x5c)"]},\#(key),"use":"jwt-svid","kid":"k1"}],"#
                + #""spiffe_sequence":7,"spiffe_refresh_hint":300}"#)
        #expect(bundle.jwkSet.compactText == #"{"keys":[\#(key),"kid":"k1"}]}"#)
    }

    @Test("are refused when the server sends what is no certificate, key or trust domain")
    func unsound() throws {
        let spoilers: [(inout Spire_Api_Types_Bundle) -> Void] = [
            { $0.trustDomain = "Example.org" }, { $0.x509Authorities[0].asn1 = Data([0x30, 0x00]) },
            { $0.jwtAuthorities[0].publicKey = Data() },
        ]
        for spoil in spoilers {
            var wire = try Self.wire()
            spoil(&wire)
            #expect(throws: SPIFFEError.self) { try BundleRendering.bundle(wire) }
        }
    }
}

@Suite("Configuration keys as shown")
struct KeyRenderingTests {
    @Test("name the environment variable that overrides each")
    func keys() {
        let rendering = KeyRendering.render(ServerSettings.keys, prefix: "MINTMARK_SERVER")
        let keys = rendering.value.object?["keys"]?.array?.compactMap(\.object) ?? []
        #expect(keys.count == ServerSettings.keys.count)
        #expect(keys.first?.map(\.name) == ["key", "default", "required", "environment", "help"])
        #expect(keys.first?["environment"] == .string("MINTMARK_SERVER_TRUST_DOMAIN"))
        #expect(keys.first?["required"] == .bool(true))
        let table = rendering.text(.table).split(separator: "\n")
        #expect(table.first?.hasPrefix("KEY ") == true)
        #expect(table.count == ServerSettings.keys.count + 1)
        #expect(table.dropFirst().first?.contains("(required)") == true)
    }
}

@Suite("Flags")
struct ArgumentTests {
    @Test(
        "read durations, and write defaults as people would",
        arguments: [("24h", "24h"), ("90m", "90m"), ("1h30m", "90m"), ("90s", "90s"), ("60s", "1m"), ("1d", "24h")])
    func durations(_ text: String, _ written: String) throws {
        #expect(try #require(DurationArgument(argument: text)).defaultValueDescription == written)
    }

    @Test("refuse durations and instants that are none", arguments: ["", "1", "soon", "-1h", "2027-13-01T00:00:00Z"])
    func refuses(_ text: String) {
        #expect(DurationArgument(argument: text) == nil)
        #expect(InstantArgument(argument: text) == nil)
    }

    @Test(
        "read instants of RFC 3339",
        arguments: ["2027-01-15T08:00:00Z", "2027-01-15T09:00:00+01:00", "2027-01-15T00:00:00-08:00"])
    func instants(_ text: String) throws {
        #expect(try #require(InstantArgument(argument: text)).date == Date(timeIntervalSince1970: 1_800_000_000))
    }
}

@Suite("The issuance record as shown")
struct AuditRenderingTests {
    private static func issued(asked: Int64, granted: Int64) -> Mintmark_V1_Issuance {
        var issuance = Mintmark_V1_Issuance()
        (issuance.outcome, issuance.serial, issuance.limitedBy) = (.issued, "40dd", "node_expiry")
        (issuance.askedSeconds, issuance.grantedSeconds) = (asked, granted)
        return issuance
    }

    @Test("What was asked for stands beside what was granted, in every form")
    func lifetimes() throws {
        let shown = AuditRendering.list([
            Self.issued(asked: 20_000, granted: 10_800), Self.issued(asked: 300, granted: 300), Mintmark_V1_Issuance(),
        ])
        let lines = shown.text(.table).split(separator: "\n")
        #expect(lines[0].contains("LIFETIME"))
        #expect(lines[1].contains("10800 s of 20000 s") && lines[1].contains("node_expiry"))
        #expect(lines[2].contains("300 s") && !lines[2].contains("of 300 s"))
        #expect(!lines[3].contains(" s "))
        let json = shown.text(.json)
        #expect(json.contains("\"asked_seconds\": 20000") && json.contains("\"granted_seconds\": 10800"))
        #expect(json.contains("\"asked_seconds\": null"))
        #expect(shown.text(.yaml).contains("granted_seconds: 10800"))
    }
}
