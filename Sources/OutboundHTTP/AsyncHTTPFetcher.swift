internal import AsyncHTTPClient
internal import Foundation
internal import NIOCore
internal import NIOHTTP1
internal import NIOSSL
internal import SwiftASN1
internal import X509

/// Fetches with AsyncHTTPClient, over a connection of its own each time.
///
/// HTTP/1.1, no redirects, no cookies, no proxies and no decompression: one request, one bounded answer.
package struct AsyncHTTPFetcher: HTTPFetcher {
    package init() {}

    package func fetch(_ request: HTTPFetch) async throws(HTTPFetchError) -> HTTPFetched {
        let url = try FetchURL(request.url)
        let exchange = try Exchange(request, to: url)
        return try await Self.bounded(by: request.deadline) { await exchange.run() }
    }

    /// Runs against the clock; who is late is cancelled, and what it says then is not heard.
    private static func bounded(
        by deadline: Duration, _ body: @escaping @Sendable () async -> Result<HTTPFetched, HTTPFetchError>
    ) async throws(HTTPFetchError) -> HTTPFetched {
        let first = await withTaskGroup(of: Result<HTTPFetched, HTTPFetchError>.self) { group in
            group.addTask(operation: body)
            group.addTask {
                do { try await Task.sleep(for: deadline) } catch { return .failure(.unreachable("cancelled")) }
                return .failure(.tooSlow)
            }
            let first = await group.next()
            group.cancelAll()
            return first
        }
        guard let first else { throw .unreachable("cancelled") }
        return try first.get()
    }
}

/// One request over one connection.
private struct Exchange: Sendable {
    private let request: HTTPClientRequest
    private let configuration: HTTPClient.Configuration
    private let deadline: TimeAmount
    private let maximumBody: Int

    private static let longest = Duration.seconds(3600)

    init(_ fetch: HTTPFetch, to url: FetchURL) throws(HTTPFetchError) {
        deadline = .milliseconds(Int64(min(max(fetch.deadline, .zero), Self.longest) / .milliseconds(1)))
        maximumBody = fetch.maximumBody
        var configuration = HTTPClient.Configuration()
        configuration.redirectConfiguration = .disallow
        configuration.decompression = .disabled
        configuration.httpVersion = .http1Only
        configuration.timeout.connect = deadline
        configuration.connectionPool.retryConnectionEstablishment = false
        configuration.maximumUsesPerConnection = 1
        var target = url.text
        var headers = HTTPHeaders(fetch.headers.map { ($0.name, $0.value) })
        do {
            switch fetch.trust {
            case .web: break
            case .authorities(let certificates):
                guard url.isTLS else { throw HTTPFetchError.badURL("it is not https, so nobody can be believed") }
                var tls = TLSConfiguration.makeClientConfiguration()
                tls.trustRoots = .certificates(try certificates.map(Self.nioCertificate))
                configuration.tlsConfiguration = tls
            case .verified(let admits):
                guard url.isTLS else { throw HTTPFetchError.badURL("it is not https, so nobody can be believed") }
                let inner = url.withTLSUnderneath
                target = inner.url
                headers.replaceOrAdd(name: "host", value: inner.host)
                let layer = try VerifiedTLS(admits: admits, serverName: url.serverName)
                configuration.http1_1ConnectionDebugInitializer = layer.addHandler
            }
        } catch let error as HTTPFetchError {
            throw error
        } catch { throw .untrusted("the given authorities cannot be loaded") }
        var request = HTTPClientRequest(url: target)
        request.method = HTTPMethod(rawValue: fetch.method)
        request.headers = headers
        if !fetch.body.isEmpty { request.body = .bytes(fetch.body) }
        self.request = request
        self.configuration = configuration
    }

    func run() async -> Result<HTTPFetched, HTTPFetchError> {
        let client = HTTPClient(eventLoopGroup: HTTPClient.defaultEventLoopGroup, configuration: configuration)
        let result: Result<HTTPFetched, HTTPFetchError>
        do {
            let response = try await client.execute(request, timeout: deadline)
            let body = try await response.body.collect(upTo: maximumBody)
            // A body that is cut off by cancellation ends like a whole one.
            try Task.checkCancellation()
            result = .success(HTTPFetched(status: Int(response.status.code), body: Array(body.readableBytesView)))
        } catch { result = .failure(describe(error)) }
        do { try await client.shutdown() } catch { return result }
        return result
    }

    private func describe(_ error: any Error) -> HTTPFetchError {
        switch error {
        case is NIOTooManyBytesError: .tooLong(limit: maximumBody)
        case let error as HTTPClientError where error == .deadlineExceeded || error == .connectTimeout: .tooSlow
        case let error as HTTPClientError where error == .tlsHandshakeTimeout: .tooSlow
        case let error as HTTPClientError: .unreachable(error.shortDescription)
        case NIOSSLError.handshakeFailed(let reason): .untrusted(Self.clipped("\(reason)"))
        case let error as NIOSSLExtraError: .untrusted(Self.clipped("\(error)"))
        case is CancellationError: .unreachable("cancelled")
        default: .unreachable(Self.clipped("\(error)"))
        }
    }

    /// Errors of libraries may repeat what the peer sent.
    private static func clipped(_ text: String) -> String { String(text.prefix(200)) }

    private static func nioCertificate(_ certificate: Certificate) throws -> NIOSSLCertificate {
        var serializer = DER.Serializer()
        try serializer.serialize(certificate)
        return try NIOSSLCertificate(bytes: serializer.serializedBytes, format: .der)
    }
}

/// TLS whose peer is judged by a closure and by nothing else.
private struct VerifiedTLS: Sendable {
    private let context: NIOSSLContext
    private let admits: @Sendable ([Certificate]) -> Bool
    private let serverName: String?

    init(admits: @escaping @Sendable ([Certificate]) -> Bool, serverName: String?) throws {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.minimumTLSVersion = .tlsv12
        configuration.trustRoots = .certificates([])
        // Asks for a certificate, which the callback then judges in place of the library.
        configuration.certificateVerification = .noHostnameVerification
        configuration.applicationProtocols = ["http/1.1"]
        context = try NIOSSLContext(configuration: configuration)
        (self.admits, self.serverName) = (admits, serverName)
    }

    /// Puts TLS under a connection of which nothing was sent yet; what is written waits inside for the judgement.
    @Sendable func addHandler(to channel: any Channel) -> EventLoopFuture<Void> {
        channel.eventLoop.makeCompletedFuture {
            let handler = try NIOSSLClientHandler(
                context: context, serverHostname: serverName,
                customVerificationCallback: { [admits] presented, promise in
                    promise.succeed(Self.parsed(presented).map(admits) == true ? .certificateVerified : .failed)
                })
            try channel.pipeline.syncOperations.addHandler(handler, position: .first)
        }
    }

    private static func parsed(_ presented: [NIOSSLCertificate]) -> [Certificate]? {
        guard !presented.isEmpty, presented.count <= 16 else { return nil }
        do { return try presented.map { try Certificate(derEncoded: $0.toDERBytes()) } } catch { return nil }
    }
}
