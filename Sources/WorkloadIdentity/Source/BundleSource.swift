public import SPIFFE

/// The bundles this process may judge others by, X.509 and JWT, always as of now.
///
/// For services that have no identity of their own to show but must know whom to believe:
///
/// ```swift
/// let source = try await BundleSource.start()
/// let caller = try JWTSVID.verify(token, audience: "orders", at: now) { source.jwtBundle(for: $0) }
/// ```
public final class BundleSource: Sendable {
    private let x509: LatestValue<Result<X509BundleUpdate, WorkloadAPIError>>
    private let jwt: LatestValue<Result<[TrustDomain: JWTBundle], WorkloadAPIError>>
    private let life: SourceLife

    private init(
        x509: LatestValue<Result<X509BundleUpdate, WorkloadAPIError>>,
        jwt: LatestValue<Result<[TrustDomain: JWTBundle], WorkloadAPIError>>, life: SourceLife
    ) {
        (self.x509, self.jwt, self.life) = (x509, jwt, life)
    }

    /// Starts to follow the endpoint, and waits until it has given bundles of both kinds.
    ///
    /// - Parameter options: Where to ask, how long to wait, where to log.
    /// - Returns: A source that is ready.
    /// - Throws: ``WorkloadAPIError``, as ``X509Source/start(picking:options:)`` does.
    public static func start(options: SourceOptions = .init()) async throws(WorkloadAPIError) -> BundleSource {
        let client = try WorkloadAPIClient(options: options)
        let x509 = LatestValue<Result<X509BundleUpdate, WorkloadAPIError>>()
        let jwt = LatestValue<Result<[TrustDomain: JWTBundle], WorkloadAPIError>>()
        let x509Follower = StreamFollower(
            name: "x509-bundles", latest: x509, backoff: options.backoff, logger: options.logger
        ) { update throws(WorkloadAPIError) in try await client.followX509Bundles(update) }
        let jwtFollower = StreamFollower(
            name: "jwt-bundles", latest: jwt, backoff: options.backoff, logger: options.logger
        ) { update throws(WorkloadAPIError) in try await client.followJWTBundles(update) }
        let life = SourceLife {
            async let one: Void = x509Follower.run(using: MachineEntropy())
            async let other: Void = jwtFollower.run(using: MachineEntropy())
            _ = await (one, other)
        } onClose: {
            x509.close()
            jwt.close()
        }
        do throws(WorkloadAPIError) {
            try await ready(x509, and: jwt, within: options.timeout)
        } catch {
            await life.close()
            throw error
        }
        return BundleSource(x509: x509, jwt: jwt, life: life)
    }

    /// Waits for both at once, so that a refusal for good of either is told at once.
    private static func ready(
        _ x509: LatestValue<Result<X509BundleUpdate, WorkloadAPIError>>,
        and jwt: LatestValue<Result<[TrustDomain: JWTBundle], WorkloadAPIError>>, within timeout: Duration
    ) async throws(WorkloadAPIError) {
        let refusal = await withTaskGroup(of: WorkloadAPIError?.self) { group in
            group.addTask { await x509.refusal(within: timeout) }
            group.addTask { await jwt.refusal(within: timeout) }
            defer { group.cancelAll() }
            return await group.first { $0 != nil } ?? nil
        }
        if let refusal { throw refusal }
    }

    /// The X.509 authorities of a trust domain.
    ///
    /// - Parameter trustDomain: The domain of the peer to judge.
    /// - Returns: The bundle; nil when the domain is not trusted, or nothing is held any more.
    public func x509Bundle(for trustDomain: TrustDomain) -> X509Bundle? {
        (try? x509.current())?.bundles[trustDomain]
    }

    /// The JWT authorities of a trust domain.
    ///
    /// - Parameter trustDomain: The domain of the caller to judge.
    /// - Returns: The bundle; nil when the domain is not trusted, or nothing is held any more.
    public func jwtBundle(for trustDomain: TrustDomain) -> JWTBundle? {
        (try? heldJWT)?[trustDomain]
    }

    /// Every JWT bundle held, or why there is none.
    var heldJWT: [TrustDomain: JWTBundle] {
        get throws(WorkloadAPIError) { try jwt.current() }
    }

    /// The X.509 bundles each time they change, beginning with the present ones.
    public var x509Updates: SourceUpdates<X509BundleUpdate> { SourceUpdates(latest: x509) }

    /// The JWT bundles each time they change, beginning with the present ones.
    public var jwtUpdates: SourceUpdates<[TrustDomain: JWTBundle]> { SourceUpdates(latest: jwt) }

    /// Stops following; returns when the connections are gone.
    public func close() async { await life.close() }
}

extension LatestValue {
    /// Waits for the first state; nil once it is there, and otherwise the reason why it is not.
    fileprivate func refusal<State: Sendable>(within timeout: Duration) async -> WorkloadAPIError?
    where Value == Result<State, WorkloadAPIError> {
        do throws(WorkloadAPIError) {
            try await wait(atMost: timeout) { _ throws(WorkloadAPIError) in }
            return nil
        } catch {
            return error
        }
    }
}
