internal import GRPCCore
internal import IssuerAPIProtos
internal import IssuerDomain
internal import SPIFFE

/// Cuts lists of entries into messages that any client takes.
enum EntryPages {
    /// Entries a page of a listing holds at most.
    private static let maximumPage = 1000
    /// Below this many an agent gets everything at once; above it, revisions first.
    private static let syncPage = 500
    /// Bytes that a message holds at most, about; far below the four megabytes that gRPC clients take by default.
    private static let messageBytes = 1 << 20

    /// A page of a listing, and the token of the next; an empty one when there is none.
    static func listing(
        _ request: Spire_Api_Server_Entry_V1_ListEntriesRequest, of entries: EntryRegistrar
    ) throws(RPCError) -> (page: ArraySlice<Entry>, next: String) {
        let filter = try request.hasFilter ? EntryFilter(wire: request.filter) : EntryFilter()
        guard request.pageSize >= 0 else { throw RPCError(code: .invalidArgument, message: "page_size is negative") }
        let size = request.pageSize > 0 ? min(Int(request.pageSize), maximumPage) : maximumPage
        let after = request.pageToken
        if !after.isEmpty, (try? EntryRules.check(id: after)) == nil {
            throw RPCError(code: .invalidArgument, message: "page_token is not one of this server's")
        }
        // Whoever signs must not wait for a listing.
        let index = entries.read { $0 }
        let found = index.entries.filter { $0.id > after && filter.admits($0.contents) }.sorted { $0.id < $1.id }
        let end = cut(found, from: 0, size: size, weight: \.approximateSize)
        return (found[..<end], end < found.count ? found[end - 1].id : "")
    }

    /// Whether an agent may be sent all of its entries at once.
    static func fitsOneMessage(_ entries: [Entry]) -> Bool {
        entries.count <= syncPage && entries.reduce(0) { $0 + $1.approximateSize } <= messageBytes
    }

    /// Pages of entries, of which only the revision is told; at least one.
    static func revisions(of entries: [Entry]) -> [(page: ArraySlice<Entry>, more: Bool)] {
        pages(of: entries, size: 10 * syncPage) { _ in 64 }
    }

    /// Pages of whole entries; at least one.
    static func entries(_ entries: [Entry]) -> [(page: ArraySlice<Entry>, more: Bool)] {
        pages(of: entries, size: syncPage, weight: \.approximateSize)
    }

    private static func pages(
        of entries: [Entry], size: Int, weight: (Entry) -> Int
    ) -> [(page: ArraySlice<Entry>, more: Bool)] {
        var pages: [(page: ArraySlice<Entry>, more: Bool)] = []
        var start = 0
        repeat {
            let end = cut(entries, from: start, size: size, weight: weight)
            pages.append((entries[start..<end], end < entries.count))
            start = end
        } while start < entries.count
        return pages
    }

    /// Where a page ends; past its start, unless there is nothing.
    private static func cut(_ entries: [Entry], from start: Int, size: Int, weight: (Entry) -> Int) -> Int {
        var (end, bytes) = (start, 0)
        while end < entries.count, end - start < size, end == start || bytes < messageBytes {
            bytes += weight(entries[end])
            end += 1
        }
        return end
    }
}

extension Entry {
    /// Bytes on the wire, about.
    fileprivate var approximateSize: Int {
        let texts = contents.selectors.reduce(0) { $0 + $1.kind.utf8.count + $1.value.utf8.count + 8 }
        let names = contents.dnsNames.reduce(0) { $0 + $1.utf8.count + 4 }
        let rules = contents.details.rules
        let narrowing = rules.named.reduce(0) { $0 + $1.kind.utf8.count + $1.value.utf8.count + 8 }
        let details = contents.details
        let told =
            details.description.utf8.count + details.owner.utf8.count + details.purpose.utf8.count
            + details.labels.reduce(0) { $0 + $1.key.utf8.count + $1.value.utf8.count + 8 }
            + details.audiences.reduce(0) { $0 + $1.utf8.count + 4 }
        // Digests come with the entry; how many there are is known only when it is sent.
        let digests = rules.digestSets.count * DigestSet.maximumTotal * 72
        return texts + names + narrowing + told + digests + contents.hint.utf8.count + contents.spiffeID.path.utf8.count
            + 256
    }
}
