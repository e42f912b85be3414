package import X509

/// Sends one HTTP request to somebody who may be hostile.
///
/// Redirects are never followed: where a request goes is decided by whoever makes it.
package protocol HTTPFetcher: Sendable {
    /// Sends a request and reads the answer.
    ///
    /// - Throws: ``HTTPFetchError``.
    func fetch(_ request: HTTPFetch) async throws(HTTPFetchError) -> HTTPFetched
}

/// An HTTP request and the bounds of its answer.
package struct HTTPFetch: Sendable {
    /// Whom to believe over TLS.
    package enum Trust: Sendable {
        /// The host name, by the authorities that the machine trusts.
        case web
        /// The host name, by these authorities alone.
        case authorities([Certificate])
        /// Whatever the closure admits, given the chain that was presented, leaf first; the host name counts for
        /// nothing.
        case verified(@Sendable ([Certificate]) -> Bool)
    }

    /// `http` or `https`, absolute, without user or password.
    package let url: String
    package let method: String
    package let headers: [(name: String, value: String)]
    package let body: [UInt8]
    package let trust: Trust
    /// From the first byte sent to the last one read.
    package let deadline: Duration
    /// The most bytes of the answer's body that are read.
    package let maximumBody: Int

    package init(
        url: String, method: String = "GET", headers: [(name: String, value: String)] = [], body: [UInt8] = [],
        trust: Trust = .web, deadline: Duration = .seconds(10), maximumBody: Int = 1 << 20
    ) {
        (self.url, self.method, self.headers, self.body) = (url, method, headers, body)
        (self.trust, self.deadline, self.maximumBody) = (trust, deadline, maximumBody)
    }
}

/// What came back.
package struct HTTPFetched: Sendable {
    package let status: Int
    package let body: [UInt8]

    package init(status: Int, body: [UInt8]) { (self.status, self.body) = (status, body) }
}

/// Why nothing came back.
package enum HTTPFetchError: Error, Hashable {
    case badURL(String)
    case unreachable(String)
    case untrusted(String)
    case tooSlow
    case tooLong(limit: Int)
}

extension HTTPFetchError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .badURL(let detail): "not a URL that can be fetched: \(detail)"
        case .unreachable(let detail): "cannot be reached: \(detail)"
        case .untrusted(let detail): "is not who it should be: \(detail)"
        case .tooSlow: "did not answer in time"
        case .tooLong(let limit): "answered with more than \(limit) bytes"
        }
    }
}
