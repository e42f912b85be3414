import Foundation
import SPIFFE
import SwiftProtobuf
import TestSupport
import Testing
import WorkloadAPIProtos
import WorkloadIdentity
import X509

@Suite("Reading a message of FetchX509SVID")
struct X509UpdateTests {
    /// A way to spoil a message, by the row that forbids it.
    struct Fault: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let spoil: @Sendable (inout WorkloadX509SVIDResponse) throws -> Void

        init(_ name: String, _ spoil: @escaping @Sendable (inout WorkloadX509SVIDResponse) throws -> Void) {
            (testDescription, self.spoil) = (name, spoil)
        }
    }

    private static let ca = Result { try TestCA.current() }

    static let faults: [Fault] = [
        Fault("A12: no SVID") { $0.svids = [] },
        Fault("A13: one malformed among three") {
            let svid = $0.svids[0]
            $0.svids = [svid, .with { $0.spiffeID = "spiffe://example.org/w" }, svid]
        },
        Fault("WLAPI-36: no SPIFFE ID") { $0.svids[0].spiffeID = "" },
        Fault("WLAPI-36: no certificate") { $0.svids[0].x509Svid = Data() },
        Fault("WLAPI-36: no key") { $0.svids[0].x509SvidKey = Data() },
        Fault("WLAPI-36: no bundle") { $0.svids[0].bundle = Data() },
        Fault("the message names another identity than the certificate") {
            $0.svids[0].spiffeID = "spiffe://example.org/other"
        },
        Fault("the key is another's") { $0.svids[0].x509SvidKey = try ca.get().wire().x509SvidKey },
        Fault("the certificate is an authority's") { $0.svids[0].x509Svid = try ca.get().der },
        Fault("the certificate is cut short") { $0.svids[0].x509Svid.removeLast() },
        Fault("the own bundle is no certificate") { $0.svids[0].bundle = Data([0x30, 0x01, 0x00]) },
        Fault("a federated bundle is no certificate") { $0.federatedBundles["spiffe://b.example"] = Data([1, 2, 3]) },
        Fault("a federated bundle has no domain") { $0.federatedBundles[""] = Data() },
        Fault("a federated bundle is for a name that is none") { $0.federatedBundles["spiffe://B.example"] = Data() },
        Fault("GS-10: two keys name one domain") {
            $0.federatedBundles = ["spiffe://b.example": Data(), "b.example": try ca.get().der]
        },
        Fault("GS-10: a key with a path names the domain of another") {
            $0.federatedBundles = ["spiffe://b.example": Data(), "spiffe://b.example/x": Data()]
        },
        Fault("a revocation list is none") { $0.crl = [Data([1])] },
        Fault("two bundles for one domain that differ") {
            var other = $0.svids[0]
            other.bundle += try ca.get().der
            $0.svids.append(other)
        },
        Fault("257 certificates in one bundle") {
            let one = $0.svids[0].bundle
            $0.svids[0].bundle = Data((0..<257).flatMap { _ in one })
        },
    ]

    @Test("a revocation list of a kind that is not understood is left out, and costs nobody the update")
    func strangeList() throws {
        let ca = try TestCA.current()
        // SEQUENCE of a list without a version, which makes it version 1, an algorithm and a signature; all of them empty.
        let ofVersionOne = Data([0x30, 0x09, 0x30, 0x02, 0x30, 0x00, 0x30, 0x00, 0x03, 0x01, 0x00])
        let update = try X509Update(
            WorkloadX509SVIDResponse(try ca.wire(), crl: [ofVersionOne, try ca.revocationList([])]))
        #expect(update.revocationLists.count == 1)
    }

    @Test("discards the whole of what breaks a rule", arguments: faults)
    func refuses(_ fault: Fault) throws {
        var message = WorkloadX509SVIDResponse(try Self.ca.get().wire())
        #expect(try X509Update(message).svids.count == 1)
        try fault.spoil(&message)
        #expect(throws: (any Error).self) { try X509Update(message) }
    }

    @Test("A07, WLAPI-39: of several with one hint the first is kept, and all without one")
    func hints() throws {
        let ca = try Self.ca.get()
        let message = WorkloadX509SVIDResponse(
            try ca.wire("/1", hint: "i"), try ca.wire("/2", hint: "e"), try ca.wire("/3", hint: "i"),
            try ca.wire("/4"), try ca.wire("/5"))
        let update = try X509Update(message)
        #expect(update.svids.map(\.id.path) == ["/1", "/2", "/4", "/5"])
        #expect(update.svids.map(\.hint) == ["i", "e", "", ""])
    }

    @Test("hints that look alike but differ in their bytes are two")
    func hintsByByte() throws {
        let ca = try Self.ca.get()
        let message = WorkloadX509SVIDResponse(
            try ca.wire("/1", hint: "caf\u{E9}"), try ca.wire("/2", hint: "cafe\u{301}"))
        #expect(try X509Update(message).svids.count == 2)
    }

    @Test(
        "GS-10: the key of a federated bundle may be written in three ways",
        arguments: ["spiffe://b.example", "b.example", "spiffe://b.example/any/path"])
    func keys(_ key: String) throws {
        let (ca, other) = (try Self.ca.get(), try TestCA.current("b.example"))
        let update = try X509Update(WorkloadX509SVIDResponse(try ca.wire(), federated: [key: try other.der]))
        #expect(update.bundles[other.trustDomain]?.authorities == [other.certificate])
    }

    @Test("GS-09: the bundle next to an SVID is its domain's own word")
    func ownBundle() throws {
        let (ca, impostor) = (try Self.ca.get(), try TestCA.current(commonName: "impostor"))
        let update = try X509Update(
            WorkloadX509SVIDResponse(try ca.wire(), federated: ["spiffe://example.org": try impostor.der]))
        #expect(update.bundles[ca.trustDomain]?.authorities == [ca.certificate])
    }

    @Test("A06: a federated bundle of zero bytes is a known domain with no authority")
    func emptyBundle() throws {
        let update = try X509Update(
            WorkloadX509SVIDResponse(try Self.ca.get().wire(), federated: ["spiffe://other.example": Data()]))
        #expect(update.bundles[try .other]?.authorities == [])
    }

    @Test("a leaf may come with intermediates")
    func intermediates() throws {
        let ca = try Self.ca.get()
        let lower = try ca.intermediate { $0.validity = Date() - 3600..<Date() + 3600 }
        var svid = try lower.wire()
        svid.x509Svid += try lower.der
        svid.bundle = try ca.der
        #expect(try X509Update(WorkloadX509SVIDResponse(svid)).svids[0].certificates.count == 2)
    }
}

@Suite("Reading a message of FetchX509Bundles")
struct X509BundleUpdateTests {
    @Test("WLAPI-36: no bundle at all is a fault")
    func none() {
        #expect(throws: WorkloadAPIError.self) { try X509BundleUpdate(WorkloadX509BundlesResponse()) }
    }

    @Test("GS-10: two keys of one domain are a fault, whichever comes first")
    func twice() throws {
        let der = try TestCA.current().der
        #expect(throws: WorkloadAPIError.self) {
            try X509BundleUpdate(.with { $0.bundles = ["spiffe://example.org": der, "example.org": der] })
        }
    }

    @Test("A06: a domain without authorities is known")
    func empty() throws {
        let update = try X509BundleUpdate(.with { $0.bundles = ["spiffe://example.org": Data()] })
        #expect(update.bundles[try .example]?.authorities == [])
    }
}

@Suite("Reading a message of FetchJWTBundles")
struct JWTBundlesTests {
    @Test(
        "WLAPI-36: what breaks a rule is discarded whole",
        arguments: [
            [:], ["spiffe://example.org": ""], ["spiffe://example.org": "{"], ["spiffe://example.org": "{}"],
            ["spiffe://example.org": #"{"keys":[]}"#, "spiffe://b.example": "no"],
            ["spiffe://example.org": #"{"keys":[]}"#, "example.org": #"{"keys":[]}"#],
            ["spiffe://EXAMPLE.org": #"{"keys":[]}"#],
        ] as [[String: String]])
    func refuses(_ bundles: [String: String]) {
        let message = WorkloadJWTBundlesResponse.with { $0.bundles = bundles.mapValues { Data($0.utf8) } }
        #expect(throws: (any Error).self) { try JWTBundle.bundles(message) }
    }

    @Test("an empty set of keys is a known domain with no authority")
    func empty() throws {
        let message = WorkloadJWTBundlesResponse.with { $0.bundles = ["example.org": Data(#"{"keys":[]}"#.utf8)] }
        #expect(try JWTBundle.bundles(message)[try .example]?.authorities.isEmpty == true)
    }
}

@Suite("Reading a message of FetchJWTSVID")
struct FetchedJWTSVIDTests {
    private static let mint = TokenMint()

    private func tokens(
        _ svids: WorkloadJWTSVID..., for audience: [String] = ["a"], as id: SPIFFEID? = nil
    ) throws -> [FetchedJWTSVID] {
        try FetchedJWTSVID.tokens(.with { $0.svids = svids }, for: audience, as: id)
    }

    @Test("WLAPI-36: no token, no SPIFFE ID or no text is a fault")
    func mandatory() throws {
        #expect(throws: WorkloadAPIError.self) { try tokens() }
        var nameless = try Self.mint.wire()
        nameless.spiffeID = ""
        #expect(throws: WorkloadAPIError.self) { try tokens(nameless) }
        var mute = try Self.mint.wire()
        mute.svid = ""
        #expect(throws: SPIFFEError.self) { try tokens(mute) }
        #expect(throws: (any Error).self) { try tokens(try Self.mint.wire(), mute) }
    }

    @Test("GS-13: a token for another audience is not handed out, one for more is")
    func audience() throws {
        #expect(throws: WorkloadAPIError.self) { try tokens(try Self.mint.wire(for: ["b"])) }
        #expect(throws: WorkloadAPIError.self) { try tokens(try Self.mint.wire(for: ["a"]), for: ["a", "b"]) }
        #expect(try tokens(try Self.mint.wire(for: ["b", "a"])).count == 1)
    }

    @Test("a token of another identity than the one asked for is not handed out")
    func identity() throws {
        let mine = try SPIFFEID.example("/w")
        #expect(try tokens(try Self.mint.wire(), as: mine).map(\.id) == [mine])
        #expect(throws: WorkloadAPIError.self) { try tokens(try Self.mint.wire(), as: try .example("/other")) }
        var disguised = try Self.mint.wire("spiffe://example.org/other")
        disguised.spiffeID = "spiffe://example.org/w"
        #expect(throws: WorkloadAPIError.self) { try tokens(disguised, as: mine) }
    }

    @Test("WLAPI-39: of several with one hint the first is kept, and all without one")
    func hints() throws {
        let kept = try tokens(
            try Self.mint.wire("spiffe://example.org/1", hint: "i"),
            try Self.mint.wire("spiffe://example.org/2", hint: "i"), try Self.mint.wire("spiffe://example.org/3"),
            try Self.mint.wire("spiffe://example.org/4"))
        #expect(kept.map(\.id.path) == ["/1", "/3", "/4"])
    }
}
