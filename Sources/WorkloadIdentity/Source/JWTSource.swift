public import Foundation
public import SPIFFE

/// This process's JWT-SVIDs, and the bundles to judge other people's by.
///
/// ```swift
/// let source = try await JWTSource.start()
/// let token = try await source.token(for: "orders")
/// ```
///
/// Tokens are kept for each set of audiences and renewed ahead of their end for as long as they are asked for.
public final class JWTSource: Sendable {
    private let client: WorkloadAPIClient
    private let bundles: LatestValue<Result<[TrustDomain: JWTBundle], WorkloadAPIError>>
    private let cache: JWTSVIDCache
    private let life: SourceLife

    private init(
        client: WorkloadAPIClient, bundles: LatestValue<Result<[TrustDomain: JWTBundle], WorkloadAPIError>>,
        cache: JWTSVIDCache, life: SourceLife
    ) {
        (self.client, self.bundles, self.cache, self.life) = (client, bundles, cache, life)
    }

    /// Starts to follow the endpoint, and waits until it has given the bundles.
    ///
    /// - Parameter options: Where to ask, how long to wait, where to log.
    /// - Returns: A source that is ready.
    /// - Throws: ``WorkloadAPIError``, as ``X509Source/start(picking:options:)`` does.
    public static func start(options: SourceOptions = .init()) async throws(WorkloadAPIError) -> JWTSource {
        let client = try WorkloadAPIClient(options: options)
        let bundles = LatestValue<Result<[TrustDomain: JWTBundle], WorkloadAPIError>>()
        let cache = JWTSVIDCache(
            backoff: options.backoff, logger: options.logger, using: MachineEntropy(), now: MachineClock.now
        ) { question throws(WorkloadAPIError) in
            try await client.fetchJWTSVIDs(audience: question.audience, id: question.id)
        }
        let follower = StreamFollower(
            name: "jwt-bundles", latest: bundles, backoff: options.backoff, logger: options.logger
        ) { update throws(WorkloadAPIError) in
            do throws(WorkloadAPIError) {
                try await client.followJWTBundles(update)
            } catch {
                // WLAPI-40: the tokens go first, so that whoever learns of it finds none.
                if error.code == .noIdentity { await cache.removeAll() }
                throw error
            }
        }
        let life = SourceLife {
            await withTaskGroup(of: Void.self) { group in
                group.addTask { await follower.run(using: MachineEntropy()) }
                group.addTask { await cache.run(sleepingUntil: MachineClock.sleep) }
            }
        } onClose: {
            bundles.close()
        }
        do throws(WorkloadAPIError) {
            try await bundles.wait(atMost: options.timeout) { _ throws(WorkloadAPIError) in }
        } catch {
            await life.close()
            throw error
        }
        return JWTSource(client: client, bundles: bundles, cache: cache, life: life)
    }

    /// A token with which this process can show itself to one service.
    ///
    /// - Parameters:
    ///   - audience: Whom the token is for, as that service calls itself.
    ///   - id: Which identity to show; nil for the endpoint's default.
    /// - Returns: A token valid now, from memory when there is one.
    /// - Throws: ``WorkloadAPIError``.
    public func token(for audience: String, as id: SPIFFEID? = nil) async throws(WorkloadAPIError) -> FetchedJWTSVID {
        try await token(for: [audience], as: id)
    }

    /// A token with which this process can show itself to several services; one each is safer (JWT-08).
    ///
    /// - Parameters:
    ///   - audience: Whom the token is for; at least one.
    ///   - id: Which identity to show; nil for the endpoint's default.
    /// - Returns: A token valid now, from memory when there is one.
    /// - Throws: ``WorkloadAPIError``.
    public func token(
        for audience: [String], as id: SPIFFEID? = nil
    ) async throws(WorkloadAPIError) -> FetchedJWTSVID {
        let tokens = try await self.tokens(for: audience, as: id)
        guard let first = tokens.first else {
            throw WorkloadAPIError(.noIdentity, "the endpoint sent no JWT-SVID")
        }
        return first
    }

    /// The tokens of every identity of this process, the default one first, to choose among by hint or ID.
    ///
    /// - Parameters:
    ///   - audience: Whom the tokens are for; at least one.
    ///   - id: Which identity to show; nil for all.
    /// - Returns: Tokens valid now; at least one.
    /// - Throws: ``WorkloadAPIError``.
    public func tokens(
        for audience: [String], as id: SPIFFEID? = nil
    ) async throws(WorkloadAPIError) -> [FetchedJWTSVID] {
        guard !bundles.snapshot.isClosed else { throw WorkloadAPIError(.closed, "the source was closed") }
        guard !audience.isEmpty, !audience.contains(where: \.isEmpty) else {
            throw WorkloadAPIError(.invalidRequest, "a token needs an audience")
        }
        return try await cache.tokens(for: .init(audience: audience, id: id))
    }

    /// Judges a caller's token in this process, by the bundles held; no request is made.
    ///
    /// - Parameters:
    ///   - token: The token.
    ///   - audience: The name this service goes by.
    ///   - instant: The time at which the token must be valid; nil for now.
    /// - Returns: The token with its identity, proven.
    /// - Throws: `SPIFFEError`; `unknownTrustDomain` also when the endpoint has taken the bundles back.
    public func validate(
        _ token: String, audience: String, at instant: Date? = nil
    ) throws(SPIFFEError) -> JWTSVID {
        try JWTSVID.verify(token, audience: audience, at: instant ?? MachineClock.now()) { bundle(for: $0) }
    }

    /// Has the endpoint judge a caller's token (WLAPI-42).
    ///
    /// - Parameters:
    ///   - token: The token.
    ///   - audience: The name this service goes by.
    /// - Returns: Who the token names, and its claims as JSON.
    /// - Throws: ``WorkloadAPIError`` with code `invalidRequest` when the token is refused.
    public func validateAtEndpoint(
        _ token: String, audience: String
    ) async throws(WorkloadAPIError) -> (id: SPIFFEID, claimsJSON: String) {
        try await client.validateJWTSVID(token, audience: audience)
    }

    /// The JWT authorities of a trust domain.
    ///
    /// - Parameter trustDomain: The domain of the caller to judge.
    /// - Returns: The bundle; nil when the domain is not trusted, or nothing is held any more.
    public func bundle(for trustDomain: TrustDomain) -> JWTBundle? { (try? held)?[trustDomain] }

    /// Every bundle held, or why there is none.
    var held: [TrustDomain: JWTBundle] {
        get throws(WorkloadAPIError) { try bundles.current() }
    }

    /// The bundles each time they change, beginning with the present ones.
    public var updates: SourceUpdates<[TrustDomain: JWTBundle]> { SourceUpdates(latest: bundles) }

    /// Stops following and forgets the tokens; returns when the connections are gone.
    public func close() async {
        await life.close()
        await cache.removeAll()
    }
}
