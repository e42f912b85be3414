import Foundation
import HTTPTypes
import SPIFFE
import TestSupport
import Testing
import VerifyServer
import WorkloadIdentity
import X509

@Suite("Requests with a forwarded certificate")
struct RequestJudgeCertificateTests {
    private func verdict(
        on fields: HTTPFields, _ asking: Asking, _ header: ForwardedCertificateHeader = .sslClientCert,
        after seconds: TimeInterval = 0
    ) throws -> RequestVerdict {
        try Asking.judge(header: header).verdict(on: fields, holding: try asking.bundles, at: Asking.now + seconds)
    }

    @Test("X01 allows a leaf that the bundle vouches for")
    func leaf() throws {
        let asking = try Asking()
        let escaped = try asking.authority.leaf().certificate.escaped()
        #expect(try verdict(on: .of([("x-ssl-client-cert", escaped)]), asking).caller == Asking.caller)
        let element = #"By=spiffe://example.org/proxy;Hash=0123;Cert="\#(escaped)";URI=\#(Asking.caller)"#
        #expect(
            try verdict(on: .of([("x-forwarded-client-cert", element)]), asking, .forwardedClientCert).caller
                == Asking.caller)
    }

    @Test("takes the intermediates that Envoy passes on")
    func chain() throws {
        let asking = try Asking()
        let intermediate = try asking.authority.intermediate()
        let leaf = try intermediate.leaf().certificate
        let chain = try leaf.escaped() + intermediate.certificate.escaped()
        let both = #"Cert="\#(try leaf.escaped())";Chain="\#(chain)""#
        #expect(
            try verdict(on: .of([("x-forwarded-client-cert", both)]), asking, .forwardedClientCert).caller
                == Asking.caller)
        let alone = #"Cert="\#(try leaf.escaped())""#
        #expect(
            try verdict(on: .of([("x-forwarded-client-cert", alone)]), asking, .forwardedClientCert).code
                == .invalidIdentity)
    }

    @Test("verifies the chain itself, whatever the proxy thought of it")
    func verification() throws {
        let asking = try Asking()
        let judged = { (certificate: Certificate, seconds: TimeInterval) in
            try verdict(on: .of([("x-ssl-client-cert", try certificate.escaped())]), asking, after: seconds).code
        }
        let strange = try Asking().authority.leaf().certificate
        #expect(try judged(strange, 0) == .invalidIdentity)
        let foreign = try Asking("other.org").authority.leaf().certificate
        #expect(try judged(foreign, 0) == .invalidIdentity)
        let sound = try asking.authority.leaf().certificate
        #expect(try judged(sound, 1799) == nil)
        #expect(try judged(sound, 1801) == .invalidIdentity)
        #expect(try judged(asking.authority.certificate, 0) == .invalidIdentity)
        let nameless = try asking.authority.leaf { $0.uris = [] }.certificate
        #expect(try judged(nameless, 0) == .invalidIdentity)
    }

    @Test("believes the one header it was told to, and not the other")
    func otherHeader() throws {
        let asking = try Asking()
        let escaped = try asking.authority.leaf().certificate.escaped()
        let nginx = HTTPFields.of([("x-ssl-client-cert", escaped)])
        let envoy = HTTPFields.of([("x-forwarded-client-cert", "Cert=\"\(escaped)\"")])
        #expect(try verdict(on: nginx, asking, .forwardedClientCert).code == .noIdentity)
        #expect(try verdict(on: envoy, asking, .sslClientCert).code == .noIdentity)
    }

    @Test("an empty header is what nginx sends for a client without a certificate")
    func empty() throws {
        #expect(try verdict(on: .of([("x-ssl-client-cert", "")]), try Asking()).code == .noIdentity)
    }

    @Test("refuses a header that says two things")
    func twice() throws {
        let asking = try Asking()
        let escaped = try asking.authority.leaf().certificate.escaped()
        let header = ("x-ssl-client-cert", escaped)
        #expect(try verdict(on: .of([header, header]), asking).code == .invalidIdentity)
        for value in [
            #"Cert="\#(escaped)",Cert="\#(escaped)""#, #"Cert="\#(escaped)";cert="\#(escaped)""#,
            #"By=spiffe://example.org/first, Cert="\#(escaped)""#,
        ] {
            #expect(
                try verdict(on: .of([("x-forwarded-client-cert", value)]), asking, .forwardedClientCert).code
                    == .invalidIdentity, "\(value.prefix(40))")
        }
    }

    @Test(
        "refuses what is not percent-encoded PEM with certificates",
        arguments: [
            "x", "%", "%4", "%zz", "%FF", "-----END%20CERTIFICATE-----",
            "-----BEGIN%20CERTIFICATE-----%0A-----END%20CERTIFICATE-----",
            "-----BEGIN%20CERTIFICATE-----%0AAAAA%0A-----END%20CERTIFICATE-----",
            "-----BEGIN%20PRIVATE%20KEY-----%0AAAAA%0A-----END%20PRIVATE%20KEY-----",
        ])
    func rubbish(_ value: String) throws {
        #expect(try verdict(on: .of([("x-ssl-client-cert", value)]), try Asking()).code == .invalidIdentity)
    }

    @Test("refuses a certificate with anything behind it, and more certificates than a chain may have")
    func tooMuch() throws {
        let asking = try Asking()
        let escaped = try asking.authority.leaf().certificate.escaped()
        #expect(try verdict(on: .of([("x-ssl-client-cert", escaped + "x")]), asking).code == .invalidIdentity)
        let many = String(repeating: escaped, count: 11)
        #expect(try verdict(on: .of([("x-ssl-client-cert", many)]), asking).code == .invalidIdentity)
    }

    @Test("with a token beside it, both must hold and name the same caller")
    func both() throws {
        let asking = try Asking()
        let judged = { (token: String, id: String) in
            let certificate = try asking.authority.leaf(id).certificate
            return try verdict(
                on: .of([
                    ("authorization", "Bearer \(token)"), ("x-ssl-client-cert", try certificate.escaped()),
                ]), asking)
        }
        #expect(try judged(try asking.token(), Asking.caller).caller == Asking.caller)
        #expect(try judged(try asking.token(), "spiffe://example.org/other").code == .invalidIdentity)
        #expect(try judged("rubbish", Asking.caller).code == .invalidIdentity)
        #expect(try judged(try asking.token(), "spiffe://other.org/w").code == .invalidIdentity)
    }

    @Test("cannot judge a certificate without bundles")
    func withoutBundles() throws {
        let asking = try Asking()
        let fields = HTTPFields.of([("x-ssl-client-cert", try asking.authority.leaf().certificate.escaped())])
        let judge = try Asking.judge(header: .sslClientCert)
        let without = HeldBundles(jwt: try asking.bundles.jwt)
        #expect(judge.verdict(on: fields, holding: without, at: Asking.now).code == .unavailable)
    }
}

@Suite("Envoy's x-forwarded-client-cert")
struct ForwardedClientCertificateTests {
    @Test("reads pairs, quotes and escapes")
    func pairs() throws {
        let text = #"By=spiffe://example.org/p;HASH=12;Subject="CN=a\",b;c\\,O=d",Cert=x,URI="#
        let parsed = try #require(ForwardedClientCertificate(parsing: text))
        let expected = [
            [("by", "spiffe://example.org/p"), ("hash", "12"), ("subject", #"CN=a",b;c\,O=d"#)], [("cert", "x")],
            [("uri", "")],
        ]
        #expect(parsed.elements.map { $0.map { [$0.key, $0.value] } } == expected.map { $0.map { [$0.0, $0.1] } })
    }

    @Test(
        "refuses anything else",
        arguments: [
            "", "=", "a", "Cert", "=x", ";", ",", "Cert=x;", "Cert=x,", "Cert=\"x", "Cert=\"x\\", "Cert=\"x\"y",
            "Cert=x\"", "Ce rt=x", "Cert=x;;Hash=1", "Cert=x,,Cert=y", "1=x",
        ])
    func refuses(_ text: String) {
        #expect(ForwardedClientCertificate(parsing: text) == nil)
    }
}
