import IssuerDomain
import SPIFFE
import Testing

@Suite("The feed of revisions")
struct RevisionFeedTests {
    private let feed = RevisionFeed()

    @Test("The revision only grows")
    func grows() {
        #expect(feed.revision == 0)
        feed.announce(5)
        feed.announce(3)
        feed.announce(5)
        #expect(feed.revision == 5)
        feed.announce(6)
        #expect(feed.revision == 6)
    }

    @Test("A listener hears of what happens after it began, and many ticks become one")
    func ticks() async {
        var ticks = feed.ticks().makeAsyncIterator()
        for revision in 1...100 { feed.announce(UInt64(revision)) }
        #expect(await ticks.next() != nil)
        #expect(feed.revision == 100)
        feed.announce(101)
        #expect(await ticks.next() != nil)
    }

    @Test("A listener that asks for it gets a first tick at once")
    func firstTick() async {
        var ticks = feed.ticks(startingWithOne: true).makeAsyncIterator()
        #expect(await ticks.next() != nil)
    }

    @Test("Followers coming, going and applying are all worth a tick")
    func ticksForStandings() async throws {
        let agent = try Given.id("/spire/agent/one")
        var ticks = feed.ticks().makeAsyncIterator()
        feed.beginFollowing(agent)
        #expect(await ticks.next() != nil)
        feed.applied(1, by: agent)
        #expect(await ticks.next() != nil)
        feed.endFollowing(agent)
        #expect(await ticks.next() != nil)
    }

    @Test("Every listener hears of a change")
    func manyListeners() async {
        let streams = (0..<10).map { _ in feed.ticks() }
        feed.announce(1)
        for stream in streams {
            var ticks = stream.makeAsyncIterator()
            #expect(await ticks.next() != nil)
        }
    }

    @Test("Standings come in the order asked, and agents never heard of stand nowhere")
    func standings() throws {
        let (one, two) = (try Given.id("/spire/agent/one"), try Given.id("/spire/agent/two"))
        feed.beginFollowing(two)
        feed.applied(7, by: two)
        let standings = feed.standing(of: [one, two])
        #expect(standings.map(\.id) == [one, two])
        #expect(standings.map(\.applied) == [nil, 7])
        #expect(standings.map(\.isFollowing) == [false, true])
    }

    @Test("What an agent has applied never goes back")
    func appliedGrows() throws {
        let agent = try Given.id("/spire/agent/one")
        feed.beginFollowing(agent)
        for revision in [3, 9, 4] as [UInt64] { feed.applied(revision, by: agent) }
        #expect(feed.standing(of: [agent]).first?.applied == 9)
    }

    @Test("An agent follows until the last of its connections ends, and is then forgotten")
    func countsConnections() throws {
        let agent = try Given.id("/spire/agent/one")
        feed.beginFollowing(agent)
        feed.beginFollowing(agent)
        feed.applied(4, by: agent)
        feed.endFollowing(agent)
        expectStanding(of: agent, applied: 4, isFollowing: true)
        feed.endFollowing(agent)
        expectStanding(of: agent, applied: nil, isFollowing: false)
        feed.beginFollowing(agent)
        expectStanding(of: agent, applied: nil, isFollowing: true)
    }

    @Test("Ending more often than beginning does no harm")
    func endsTooOften() throws {
        let agent = try Given.id("/spire/agent/one")
        feed.endFollowing(agent)
        feed.beginFollowing(agent)
        #expect(feed.standing(of: [agent]).first?.isFollowing == true)
    }

    private func expectStanding(of agent: SPIFFEID, applied: UInt64?, isFollowing: Bool) {
        let standings = feed.standing(of: [agent])
        #expect(standings.map(\.applied) == [applied])
        #expect(standings.map(\.isFollowing) == [isFollowing])
    }
}
