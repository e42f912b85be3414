import Foundation
import IssuerDomain
import Platform
import SPIFFE
import StoreContract
import TestSupport
import Testing

@Suite("Terms of entries")
struct EntryTermsTests {
    private static let digest = String(repeating: "0123456789abcdef", count: 4)

    @Test("A new entry has explicit terms, by its selectors or as asked")
    func creation() async throws {
        let table: [(selectors: [String], asked: TermsRequest, minimum: Int, jit: Bool)] = [
            (["unix:uid:1"], .init(), 0, false), (["unix:path:/x"], .init(), 2, false),
            (["unix:path:/x"], .init(minimum: .executableLink), 1, false),
            (["unix:path:/x"], .init(allowsJIT: true), 3, true),
            (["unix:path:/x"], .init(minimum: .boundImage, allowsJIT: true), 2, true),
            (["exec:path:/x"], .init(), 3, false), (["unix:uid:1"], .init(minimum: .measuredExec), 3, false),
            (["unix:sha256:\(Self.digest)"], .init(allowsJIT: false), 2, false),
        ]
        for (number, row) in table.enumerated() {
            let entry = try await create(row.selectors, row.asked, path: "/w\(number)").get()
            #expect(entry.contents.terms.minimum.number == row.minimum, "\(row)")
            #expect(entry.contents.terms.allowsJIT == row.jit, "\(row)")
        }
    }

    @Test("A server's default takes the place of ours")
    func serverDefault() async throws {
        let weak = AssuranceDefaults(program: .executableLink)
        let entry = try await create(["unix:path:/x"], .init(), defaults: weak).get()
        #expect(entry.contents.terms == AssuranceTerms(minimum: .executableLink, allowsJIT: false))
        let measured = try await create(["exec:path:/x"], .init(), defaults: weak).get()
        #expect(measured.contents.terms.minimum == .measuredExec)
    }

    @Test("Less than a selector needs is refused by name")
    func belowFloor() async throws {
        let selector = try Selector(parsing: "exec:path:/x")
        let result = try await create(["exec:path:/x", "unix:uid:1"], .init(minimum: .boundImage))
        #expect(
            throws: EntryError.assuranceBelowSelector(asked: .boundImage, selector: selector, needed: .measuredExec)
        ) { try result.get() }
    }

    /// What an entry was created with, how it is changed, and what it asks for then.
    struct Change: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let before: ([String], TermsRequest)
        let selectors: [String]?
        let asked: TermsRequest
        let after: (Int, Bool)
    }

    static let changes: [Change] = [
        .init(
            testDescription: "a hint", before: (["unix:path:/x"], .init()), selectors: nil, asked: .init(),
            after: (2, false)),
        .init(
            testDescription: "a path comes to an account", before: (["unix:uid:1"], .init()),
            selectors: ["unix:uid:1", "unix:path:/x"], asked: .init(), after: (2, false)),
        .init(
            testDescription: "a level that was chosen stays",
            before: (["unix:path:/x"], .init(minimum: .executableLink)), selectors: ["unix:path:/y"], asked: .init(),
            after: (1, false)),
        .init(
            testDescription: "a level that was chosen rises where a selector needs it",
            before: (["unix:path:/x"], .init(minimum: .executableLink)), selectors: ["exec:path:/x"], asked: .init(),
            after: (3, false)),
        .init(
            testDescription: "nothing is lowered unasked", before: (["unix:path:/x"], .init()),
            selectors: ["unix:uid:1"], asked: .init(), after: (2, false)),
        .init(
            testDescription: "it is when asked", before: (["unix:path:/x"], .init()), selectors: ["unix:uid:1"],
            asked: .init(minimum: .account), after: (0, false)),
        .init(
            testDescription: "made code asks for 3", before: (["unix:path:/x"], .init(minimum: .executableLink)),
            selectors: nil, asked: .init(allowsJIT: true), after: (3, true)),
        .init(
            testDescription: "made code no longer", before: (["unix:path:/x"], .init(allowsJIT: true)), selectors: nil,
            asked: .init(allowsJIT: false), after: (3, false)),
        .init(
            testDescription: "terms alone", before: (["unix:path:/x"], .init()), selectors: nil,
            asked: .init(minimum: .measuredExec), after: (3, false)),
    ]

    @Test("A change keeps or raises terms, and lowers them when asked", arguments: changes)
    func update(change: Change) async throws {
        let registrar = try await registrar()
        let created = try await registrar.create(
            [
                EntryDraft(
                    id: "a", contents: try Given.contents(selectors: change.before.0), terms: change.before.1)
            ], now: Given.start, using: SeededEntropy(1))
        _ = try created[0].get()
        let selectors = try change.selectors.map { try Given.selectors($0).sorted() }
        let updated = try await registrar.update(
            [
                EntryPatch(id: "a", terms: change.asked) {
                    $0.hint = "new"
                    if let selectors { $0.selectors = selectors }
                }
            ], now: Given.start)
        let entry = try updated[0].get()
        #expect(entry.contents.terms.minimum.number == change.after.0)
        #expect(entry.contents.terms.allowsJIT == change.after.1)
        #expect(entry.revision == 1)
        #expect(registrar.read { $0["a"] } == entry)
    }

    @Test("A bare interpreter is refused to whoever could insist and does not")
    func interpreter() async throws {
        let path = try Selector(parsing: "unix:path:/usr/bin/python3.13")
        let refused = try await create(["\(path)"], .init(insistence: .plain))
        let error = #expect(throws: EntryError.bareInterpreter(path)) { try refused.get() }
        #expect(error?.canBeForced == true)
        for insistence in [Insistence.unsaid, .forced] {
            let entry = try await create(["\(path)"], .init(insistence: insistence)).get()
            #expect(EntryWarning.all(about: entry.contents) == [.bareInterpreter(path)])
        }
        let script = "exec:script:sha256:\(Self.digest)"
        let entry = try await create(["\(path)", script], .init(insistence: .plain)).get()
        #expect(EntryWarning.all(about: entry.contents).isEmpty)
    }

    @Test("What was forced once is not judged again when something else changes")
    func forcedOnce() async throws {
        let registrar = try await registrar()
        let contents = try Given.contents(selectors: ["unix:path:/bin/sh", "vault:role:x"])
        let forced = try await registrar.create(
            [EntryDraft(id: "a", contents: contents, terms: .init(insistence: .forced))], now: Given.start,
            using: SeededEntropy(1))
        #expect(throws: Never.self) { try forced[0].get() }
        let more = try Given.selectors(["unix:path:/bin/sh", "vault:role:x", "unix:uid:1"]).sorted()
        let other = try Given.selectors(["unix:path:/bin/bash", "vault:role:x"]).sorted()
        let results = try await registrar.update(
            [
                EntryPatch(id: "a", terms: .init(insistence: .plain)) { $0.hint = "new" },
                EntryPatch(id: "a", terms: .init(insistence: .plain)) { $0.selectors = more },
                EntryPatch(id: "a", terms: .init(insistence: .plain)) { $0.selectors = other },
            ], now: Given.start)
        #expect(throws: Never.self) { try results[0].get() }
        #expect(throws: Never.self) { try results[1].get() }
        #expect(throws: EntryError.bareInterpreter(other[0])) { try results[2].get() }
    }

    @Test("Weak terms are warned of by what can be faked")
    func warnings() throws {
        func warnings(_ selectors: [String], _ level: AssuranceLevel, jit: Bool = false) throws -> [EntryWarning] {
            var contents = try Given.contents(selectors: selectors)
            contents.terms = AssuranceTerms(minimum: level, allowsJIT: jit)
            return EntryWarning.all(about: contents)
        }
        #expect(try warnings(["unix:uid:1"], .account).isEmpty)
        #expect(try warnings(["unix:path:/x"], .boundImage).isEmpty)
        #expect(try warnings(["unix:path:/x"], .executableLink) == [.fakeable(.executableLink)])
        #expect(try warnings(["unix:path:/x"], .boundImage, jit: true) == [.unmeasuredJIT(.boundImage)])
        #expect(try warnings(["unix:path:/x"], .measuredExec, jit: true).isEmpty)
        #expect(try warnings(["vault:x:y"], .account) == [.unknownKind(try Selector(parsing: "vault:x:y"))])
        let text = "\(EntryWarning.fakeable(.executableLink))"
        for word in ["after it has connected", "handed", "executable link", "memory"] { #expect(text.contains(word)) }
    }

    private func registrar(_ defaults: AssuranceDefaults = .init()) async throws -> EntryRegistrar {
        try await EntryRegistrar(
            trustDomain: try Given.trustDomain(), defaults: defaults, store: MemoryStore(), feed: RevisionFeed())
    }

    private func create(
        _ selectors: [String], _ asked: TermsRequest, path: String = "/web", defaults: AssuranceDefaults = .init()
    ) async throws -> Result<Entry, EntryError> {
        let contents = try Given.contents(path, selectors: selectors)
        let results = try await registrar(defaults).create(
            [EntryDraft(contents: contents, terms: asked)], now: Given.start, using: SeededEntropy(1))
        return try #require(results.first)
    }
}
