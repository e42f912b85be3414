internal import GRPCCore
internal import SPIFFE

/// Pages of lists that are sorted by trust domain; a token is the last domain of the page before.
enum DomainPages {
    private static let maximumPage = 1000
    /// Bytes that a message holds at most, about; far below the four megabytes that gRPC clients take by default.
    private static let messageBytes = 1 << 20

    /// A page, and the token of the next; an empty one when there is none.
    static func page<Element>(
        of elements: [TrustDomain: Element], size asked: Int32, after token: String, weight: (Element) -> Int
    ) throws(RPCError) -> (page: [Element], next: String) {
        guard asked >= 0 else { throw RPCError(code: .invalidArgument, message: "page size is negative") }
        if !token.isEmpty, (try? TrustDomain(token)) == nil {
            throw RPCError(code: .invalidArgument, message: "page token is not one that this server gave")
        }
        let size = asked == 0 ? maximumPage : min(Int(asked), maximumPage)
        let rest = elements.filter { $0.key.name > token }.sorted { $0.key < $1.key }
        var (page, bytes): ([Element], Int) = ([], 0)
        for (_, element) in rest.prefix(size) {
            guard page.isEmpty || bytes < messageBytes else { break }
            page.append(element)
            bytes += weight(element)
        }
        guard page.count < rest.count, let last = rest.prefix(page.count).last else { return (page, "") }
        return (page, last.key.name)
    }
}
