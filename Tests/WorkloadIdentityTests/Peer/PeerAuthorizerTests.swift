import Foundation
import SPIFFE
import TestSupport
import Testing
import WorkloadIdentity
import X509

@Suite("Which peers may go on")
struct PeerAuthorizerTests {
    private static let ca = Result { try TestCA() }

    private func peer(_ path: String) throws -> PeerIdentity {
        let ca = try Self.ca.get()
        let leaf = try ca.leaf("spiffe://example.org\(path)").certificate
        return PeerIdentity(
            try X509SVIDVerification.verify([leaf], at: CertificateRecipe.now) { _ in ca.bundle })
    }

    private func allows(_ authorizer: PeerAuthorizer, _ path: String) throws -> Bool {
        let peer = try peer(path)
        do throws(PeerRefusal) {
            try authorizer.authorize(peer)
            return true
        } catch {
            #expect(error.code == .notAuthorized)
            #expect(error.message.contains("spiffe://example.org\(path)"))
            return false
        }
    }

    @Test("any lets everyone pass")
    func any() throws { #expect(try allows(.any, "/a")) }

    @Test("an ID lets that one pass, and none that looks like it")
    func id() throws {
        let authorizer = PeerAuthorizer.id(try .example("/a"))
        #expect(try allows(authorizer, "/a"))
        for path in ["/A", "/a/b", "/aa", "/b"] { #expect(try !allows(authorizer, path)) }
    }

    @Test("several IDs let those pass; none lets nobody")
    func anyOf() throws {
        let authorizer = PeerAuthorizer.anyOf([try .example("/a"), try .example("/b")])
        #expect(try ["/a", "/b", "/c"].map { try allows(authorizer, $0) } == [true, true, false])
        #expect(try !allows(.anyOf([]), "/a"))
    }

    @Test("membership is of one trust domain")
    func member() throws {
        #expect(try allows(.memberOf(try .example), "/a"))
        #expect(try !allows(.memberOf(try .other), "/a"))
        #expect(try !allows(.memberOf(try TrustDomain("sub.example.org")), "/a"))
    }

    @Test("a rule of the caller's own decides, and is named in the refusal")
    func custom() throws {
        let authorizer = PeerAuthorizer.custom("someone under /ops") { $0.id.path.hasPrefix("/ops/") }
        #expect(try ["/ops/a", "/dev/a"].map { try allows(authorizer, $0) } == [true, false])
        let refusal = #expect(throws: PeerRefusal.self) { try authorizer.authorize(try peer("/dev/a")) }
        #expect(refusal?.message.contains("someone under /ops") == true)
    }
}

@Suite("Judging a peer by what a source holds")
struct PeerJudgementTests {
    private static let own = Result { try TestCA() }
    private static let other = Result { try TestCA("other.example") }

    private func source(
        _ bundles: [X509Bundle], _ lists: [RevocationList] = []
    ) throws -> X509Source {
        let leaf = try Self.own.get().leaf()
        let svid = try X509SVID(chain: Data(try leaf.certificate.derBytes()), privateKey: leaf.pkcs8)
        return X509Source(try X509Update(svids: [svid], bundles: bundles, revocationLists: lists)) {
            CertificateRecipe.now
        }
    }

    private func refusal(
        of chain: [Certificate], by source: X509Source, _ authorizer: PeerAuthorizer = .any
    ) -> PeerRefusal.Code? {
        do throws(PeerRefusal) {
            _ = try source.verify(chain, authorizing: authorizer)
            return nil
        } catch { return error.code }
    }

    @Test("WLAPI-37: by the bundle of its own domain, and by no other")
    func domains() throws {
        let (own, other) = (try Self.own.get(), try Self.other.get())
        let (mine, theirs) = (try own.leaf().certificate, try other.leaf().certificate)
        // The own authority says that it is someone of the other domain.
        let forged = try own.leaf("spiffe://other.example/w").certificate
        let federated = try source([own.bundle, other.bundle])
        #expect(refusal(of: [mine], by: federated) == nil)
        #expect(refusal(of: [theirs], by: federated) == nil)
        #expect(refusal(of: [forged], by: federated) == .invalidIdentity)
        let alone = try source([own.bundle])
        #expect(refusal(of: [theirs], by: alone) == .invalidIdentity)
        let emptied = try source([own.bundle, X509Bundle(trustDomain: other.trustDomain, authorities: [])])
        #expect(refusal(of: [theirs], by: emptied) == .invalidIdentity)
    }

    @Test("a revoked peer is refused, by the list of its own authority only")
    func revoked() throws {
        let (own, other) = (try Self.own.get(), try Self.other.get())
        let (bad, good) = (try own.leaf().certificate, try own.leaf().certificate)
        let list = try RevocationList.parse(der: try own.revocationList([bad]))
        let foreign = try RevocationList.parse(der: try other.revocationList([good]))
        let holder = try source([own.bundle, other.bundle], [list, foreign])
        #expect(refusal(of: [bad], by: holder) == .invalidIdentity)
        #expect(refusal(of: [good], by: holder) == nil)
        #expect(refusal(of: [bad], by: try source([own.bundle])) == nil)
    }

    @Test("who is proven and not authorized, who proves nothing, and who comes too late are told apart")
    func codes() throws {
        let own = try Self.own.get()
        let holder = try source([own.bundle])
        let leaf = try own.leaf().certificate
        #expect(refusal(of: [leaf], by: holder, .anyOf([])) == .notAuthorized)
        #expect(refusal(of: [], by: holder) == .invalidIdentity)
        let stale = try own.leaf { $0.validity = CertificateRecipe.now - 3600..<CertificateRecipe.now - 60 }
        #expect(refusal(of: [stale.certificate], by: holder) == .invalidIdentity)
    }

    @Test("a source that was closed judges nobody")
    func closed() async throws {
        let own = try Self.own.get()
        let holder = try source([own.bundle])
        await holder.close()
        #expect(refusal(of: [try own.leaf().certificate], by: holder) == .unavailable)
    }
}
