internal import X509
package import Foundation
public import SPIFFE

/// This process's X.509 identity and the bundles to judge peers by, always as of now.
///
/// One call starts it; from then on it follows the endpoint until closed or let go:
///
/// ```swift
/// let source = try await X509Source.start()
/// let svid = try source.svid
/// ```
///
/// What the endpoint takes back is gone here at once (WLAPI-35, WLAPI-40); what merely cannot be refreshed is served until it
/// expires, and not longer.
public final class X509Source: Sendable {
    let latest: LatestValue<Result<X509Update, WorkloadAPIError>>
    let picker: SVIDPicker
    let materials: TLSMaterialCache
    private let life: SourceLife?
    private let now: @Sendable () -> Date

    private init(
        latest: LatestValue<Result<X509Update, WorkloadAPIError>>, picker: SVIDPicker,
        materials: TLSMaterialCache = TLSMaterialCache(), life: SourceLife?,
        now: @escaping @Sendable () -> Date
    ) {
        (self.latest, self.picker, self.materials) = (latest, picker, materials)
        (self.life, self.now) = (life, now)
    }

    /// Creates a source that never changes, for a process that has its SVIDs from elsewhere, and for tests.
    ///
    /// - Parameters:
    ///   - update: What the source holds.
    ///   - picker: Which identity it stands for.
    public convenience init(_ update: X509Update, picking picker: SVIDPicker = .first) {
        self.init(update, picking: picker, now: MachineClock.now)
    }

    package convenience init(
        _ update: X509Update, picking picker: SVIDPicker = .first, now: @escaping @Sendable () -> Date
    ) {
        self.init(latest: LatestValue(.success(update)), picker: picker, life: nil, now: now)
    }

    /// Starts to follow the endpoint, and waits until it has given the identity asked for.
    ///
    /// A refusal for lack of an entry is waited out, since registration may lag (WLEP-24).
    ///
    /// - Parameters:
    ///   - picker: Which identity the source stands for.
    ///   - options: Where to ask, how long to wait, where to log.
    /// - Returns: A source that is ready.
    /// - Throws: ``WorkloadAPIError``: `noEndpoint`, `invalidRequest` or `unsupported` at once; when the time is up the reason
    ///   last given, such as `noIdentity`, `noSuchIdentity` or `unavailable`; `timedOut` when there was none.
    public static func start(
        picking picker: SVIDPicker = .first, options: SourceOptions = .init()
    ) async throws(WorkloadAPIError) -> X509Source {
        let client = try WorkloadAPIClient(options: options)
        let latest = LatestValue<Result<X509Update, WorkloadAPIError>>()
        let follower = StreamFollower(
            name: "x509-svid", latest: latest, backoff: options.backoff, logger: options.logger
        ) { update throws(WorkloadAPIError) in try await client.followX509SVIDs(update) }
        let materials = TLSMaterialCache()
        let life = SourceLife {
            await withTaskGroup(of: Void.self) { group in
                group.addTask { await follower.run(using: MachineEntropy()) }
                group.addTask {
                    // What was taken back is not kept for TLS either.
                    for await case .failure in SourceUpdates(latest: latest) { materials.removeAll() }
                    materials.removeAll()
                }
            }
        } onClose: {
            latest.close()
        }
        let source = X509Source(latest: latest, picker: picker, materials: materials, life: life, now: MachineClock.now)
        do throws(WorkloadAPIError) {
            try await latest.wait(atMost: options.timeout) { update throws(WorkloadAPIError) in
                _ = try update.pick(picker, at: MachineClock.now())
            }
        } catch {
            await life.close()
            throw error
        }
        return source
    }

    /// The identity this source stands for, with its private key.
    ///
    /// - Throws: ``WorkloadAPIError`` with code `noIdentity` once it was taken back, `expired`, `noSuchIdentity` or `closed`.
    public var svid: X509SVID {
        get throws(WorkloadAPIError) {
            try update.pick(picker, at: now())
        }
    }

    /// Everything the endpoint last said.
    ///
    /// - Throws: ``WorkloadAPIError`` with code `noIdentity` once it was taken back, or `closed`.
    public var update: X509Update {
        get throws(WorkloadAPIError) { try latest.current() }
    }

    /// The authorities of a trust domain.
    ///
    /// - Parameter trustDomain: The domain of the peer to judge.
    /// - Returns: The bundle; nil when the domain is not trusted, or nothing is held any more.
    public func bundle(for trustDomain: TrustDomain) -> X509Bundle? {
        (try? update)?.bundles[trustDomain]
    }

    /// The state each time it changes, beginning with the present one.
    public var updates: SourceUpdates<X509Update> { SourceUpdates(latest: latest) }

    /// Stops following and forgets the private key; returns when the connection is gone.
    public func close() async {
        latest.close()
        await life?.close()
        materials.removeAll()
    }

    /// The instant by which this source judges.
    package var instant: Date { now() }
}

extension X509Update {
    func pick(_ picker: SVIDPicker, at instant: Date) throws(WorkloadAPIError) -> X509SVID {
        let svid = try picker(svids)
        guard let leaf = svid.certificates.first, instant < leaf.notValidAfter else {
            throw WorkloadAPIError(.expired, "\(svid.id) has expired, and the endpoint has sent nothing newer")
        }
        return svid
    }
}
