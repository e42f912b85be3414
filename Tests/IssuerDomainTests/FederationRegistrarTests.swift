import Foundation
import IssuerDomain
import SPIFFE
import StoreContract
import TestSupport
import Testing

@Suite("Registering other trust domains")
struct FederationRegistrarTests {
    private let store = MemoryStore()
    private let feed = RevisionFeed()

    private func registrars() async throws -> (FederationRegistrar, EntryRegistrar) {
        let federation = try await FederationRegistrar(trustDomain: Given.trustDomain(), store: store, feed: feed)
        let entries = try await EntryRegistrar(
            trustDomain: Given.trustDomain(), store: store, feed: feed,
            holdsBundle: { federation.holdsBundle(of: $0) })
        return (federation, entries)
    }

    private func bundle(_ domain: String, sequence: UInt64? = nil, hint: UInt64? = nil) throws -> FederatedBundle {
        try FederatedBundle(
            TrustBundle(
                trustDomain: TrustDomain(domain), x509Authorities: [TestCA(domain).certificate], jwtAuthorities: [:],
                sequence: sequence, refreshHint: hint))
    }

    private func relationship(_ domain: String, port: Int = 443) throws -> FederationRelationship {
        FederationRelationship(
            trustDomain: try TrustDomain(domain),
            endpoint: BundleEndpoint(url: try BundleEndpointURL("https://\(domain):\(port)/"), profile: .web))
    }

    private func draft(_ path: String, federatingWith domains: [String]) throws -> EntryDraft {
        var contents = try Given.contents(path)
        contents.federatesWith = try domains.map { try TrustDomain($0) }
        return EntryDraft(contents: contents)
    }

    @Test("A bundle is durable and announced, and a restart finds it")
    func durable() async throws {
        let (federation, _) = try await registrars()
        let stored = try bundle("a.example", sequence: 3)
        #expect(try await federation.create([stored]) == [.success(stored)])
        #expect(feed.revision == 1)
        let (after, _) = try await registrars()
        #expect(after.current.bundles == [stored.trustDomain: stored])
    }

    @Test("The issuer's own bundle is not changed this way")
    func own() async throws {
        let (federation, entries) = try await registrars()
        let own = try bundle("example.org")
        #expect(try await federation.create([own]) == [.failure(.ownTrustDomain)])
        #expect(try await federation.set([own]) == [.failure(.ownTrustDomain)])
        #expect(try await federation.update([FederatedBundlePatch(own)]) == [.failure(.ownTrustDomain)])
        #expect(
            try await federation.deleteBundles(of: [own.trustDomain], mode: .delete, entries: entries)
                == [.failure(.ownTrustDomain)])
        let following = FederationRelationshipDraft(try relationship("example.org"))
        #expect(try await federation.create([following]) == [.failure(.ownTrustDomain)])
        #expect(store.writes == 0)
    }

    @Test("A store that fails changes nothing that anybody sees")
    func storeFails() async throws {
        let (federation, entries) = try await registrars()
        _ = try await federation.set([bundle("a.example")])
        _ = try await entries.create(
            [draft("/w", federatingWith: ["a.example"])], now: Given.start, using: SeededEntropy())
        let (known, revision) = (federation.current.bundles, feed.revision)
        store.failWrites(with: .full(detail: "full"))
        await #expect(throws: StoreError.full(detail: "full")) { try await federation.set([bundle("b.example")]) }
        await #expect(throws: StoreError.full(detail: "full")) {
            try await federation.deleteBundles(of: Array(known.keys), mode: .delete, entries: entries)
        }
        await #expect(throws: BundleFetchError.self) {
            try await federation.refresh(relationship("a.example"), with: bundle("a.example"))
        }
        #expect(federation.current.bundles == known)
        #expect(entries.read { $0.count } == 1)
        #expect(feed.revision == revision)
    }

    @Test("An entry federates only with domains whose bundle is there; old ones keep what they have")
    func entriesNeedBundles() async throws {
        let (federation, entries) = try await registrars()
        let draft = try draft("/w", federatingWith: ["a.example"])
        let refused = try await entries.create([draft], now: Given.start, using: SeededEntropy())
        #expect(refused == [.failure(.bundleMissing(try TrustDomain("a.example")))])
        _ = try await federation.set([bundle("a.example")])
        let entry = try #require(
            try await entries.create([draft], now: Given.start, using: SeededEntropy()).first?.get())
        let missing = try TrustDomain("b.example")
        let patch = EntryPatch(id: entry.id) { $0.federatesWith.append(missing) }
        #expect(try await entries.update([patch], now: Given.start) == [.failure(.bundleMissing(missing))])
        // One that was stored when nobody asked for bundles can still be changed otherwise.
        let lone = try await EntryRegistrar(
            trustDomain: Given.trustDomain(), store: store, feed: feed, holdsBundle: { _ in false })
        let hint = EntryPatch(id: entry.id) { $0.hint = "new" }
        #expect(try await lone.update([hint], now: Given.start).first?.get().contents.hint == "new")
    }

    @Test("Deleting a bundle settles its entries by the mode, and nothing else", arguments: BundleDeletion.allCases)
    func deletion(_ mode: BundleDeletion) async throws {
        let (federation, entries) = try await registrars()
        let (a, b) = (try bundle("a.example"), try bundle("b.example"))
        _ = try await federation.set([a, b])
        let drafts = [
            try draft("/both", federatingWith: ["a.example", "b.example"]),
            try draft("/b", federatingWith: ["b.example"]),
        ]
        let made = try await entries.create(drafts, now: Given.start, using: SeededEntropy()).map { try $0.get() }
        let results = try await federation.deleteBundles(of: [a.trustDomain], mode: mode, entries: entries)
        let index = entries.read { [$0[made[0].id], $0[made[1].id]] }
        #expect(index[1] == made[1])
        switch mode {
        case .restrict:
            #expect(results == [.failure(.bundleInUse(a.trustDomain, entries: 1))])
            #expect(index[0] == made[0])
            #expect(federation.holdsBundle(of: a.trustDomain))
        case .delete:
            #expect(results == [.success(a.trustDomain)])
            #expect(index[0] == nil)
        case .dissociate:
            #expect(results == [.success(a.trustDomain)])
            #expect(index[0]?.contents.federatesWith == [b.trustDomain])
            #expect(index[0]?.revision == 1)
        }
        #expect(federation.holdsBundle(of: a.trustDomain) == (mode == .restrict))
        #expect(try await Set(store.loadEntries().entries) == Set(index.compactMap(\.self)))
        #expect(try await store.loadFederation().bundles.count == federation.current.bundles.count)
    }

    @Test("However creations and deletions race, no entry is left federating with a domain without a bundle")
    func races() async throws {
        let (federation, entries) = try await registrars()
        let domain = try bundle("a.example")
        for round in 0..<20 {
            _ = try await federation.set([domain])
            let draft = try draft("/r\(round)", federatingWith: ["a.example"])
            let mode = BundleDeletion.allCases[round % BundleDeletion.allCases.count]
            async let creation = entries.create([draft], now: Given.start, using: SeededEntropy(UInt64(round)))
            async let deletion = federation.deleteBundles(of: [domain.trustDomain], mode: mode, entries: entries)
            _ = try await (creation, deletion)
            let dangling = entries.read { index in
                index.entries.filter { $0.contents.federatesWith.contains(domain.trustDomain) }.count
            }
            #expect(dangling == 0 || federation.holdsBundle(of: domain.trustDomain))
            #expect(try await Set(store.loadEntries().entries) == Set(entries.read { Array($0.entries) }))
        }
    }

    @Test("A fetched bundle counts for the relationship it was fetched for, as it is now (FED-35)")
    func refreshes() async throws {
        let (federation, _) = try await registrars()
        let following = try relationship("a.example")
        _ = try await federation.create([FederationRelationshipDraft(following)])
        let fifth = try bundle("a.example", sequence: 5)
        #expect(try await federation.refresh(following, with: fifth))
        #expect(try await !federation.refresh(following, with: fifth), "it says nothing new")
        await #expect(throws: BundleFetchError.older(fetched: 4, held: 5)) {
            try await federation.refresh(following, with: bundle("a.example", sequence: 4))
        }
        #expect(try await federation.refresh(following, with: bundle("a.example")), "without a number, the last wins")
        let moved = FederationRelationshipPatch(
            trustDomain: following.trustDomain, url: try BundleEndpointURL("https://moved.example/"))
        _ = try await federation.update([moved])
        await #expect(throws: BundleFetchError.overtaken) { try await federation.refresh(following, with: fifth) }
        _ = try await federation.deleteRelationships(with: [following.trustDomain])
        let now = try #require(federation.current.bundles[following.trustDomain])
        await #expect(throws: BundleFetchError.overtaken) { try await federation.refresh(following, with: fifth) }
        #expect(federation.current.bundles[following.trustDomain] == now)
    }

    @Test("How many domains are known is bounded")
    func bounded() async throws {
        let (federation, _) = try await registrars()
        let many = try (0...Federation.maximumDomains).map { number in
            try FederatedBundle(
                TrustBundle(trustDomain: TrustDomain("d\(number)"), x509Authorities: [], jwtAuthorities: [:]))
        }
        let results = try await federation.create(many)
        #expect(results.count { (try? $0.get()) != nil } == Federation.maximumDomains)
        #expect(results.last == .failure(.tooMany(limit: Federation.maximumDomains)))
    }

    @Test(
        "URLs of endpoints are https with a host, and nothing two parsers could read in two ways (FED-07)",
        arguments: [
            "", "http://a.example/", "a.example", "https://", "https:///x", "https://u@a.example/",
            "https://u:p@a.example/", "https://@a.example/", "https://a.example/#x", "https://a.example/a b",
            "https://a.example\\@b.example/", "https://a.example:0/", "https://a.example:65536/", "https://ä.example/",
            "ftp://a.example/", "file:///etc/passwd",
        ])
    func badURLs(_ text: String) {
        #expect(throws: FederationError.self) { try BundleEndpointURL(text) }
    }

    @Test(
        "Any host, port, path and query will do (FED-07)",
        arguments: [
            "https://a.example", "HTTPS://a.example/x/../y?q=@#".replacing("#", with: ""), "https://127.0.0.1:8443/b",
            "https://[::1]:8443/", "https://a.example:443/?x=%20",
        ])
    func goodURLs(_ text: String) throws { #expect(try BundleEndpointURL(text).text == text) }
}

@Suite("When to fetch a bundle again")
struct RefreshPlanTests {
    private func interval(hint: UInt64?) throws -> Duration {
        RefreshPlan.interval(
            for: TrustBundle(
                trustDomain: try TrustDomain("a.example"), x509Authorities: [], jwtAuthorities: [:], refreshHint: hint))
    }

    @Test("The hint counts within bounds; without one, five minutes do (FED-32)")
    func hints() throws {
        #expect(try interval(hint: nil) == .seconds(300))
        #expect(try interval(hint: 0) == .seconds(300))
        #expect(try interval(hint: 1) == .seconds(30))
        #expect(try interval(hint: 600) == .seconds(600))
        #expect(try interval(hint: .max) == .seconds(86_400))
        #expect(RefreshPlan.interval(for: nil) == .seconds(60))
    }

    @Test("Jitter comes early, never late, and less than a tenth")
    func jitter() throws {
        var entropy = SeededEntropy(7)
        let dues = (0..<100).map { _ in RefreshPlan.next(after: Given.start, holding: nil, using: &entropy) }
        #expect(dues.allSatisfy { (54...60).contains($0.timeIntervalSince(Given.start)) })
        #expect(Set(dues).count > 50)
    }
}
