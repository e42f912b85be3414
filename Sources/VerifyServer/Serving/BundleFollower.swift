internal import Bootstrap
internal import Logging
internal import SPIFFE
internal import WorkloadIdentity

/// Keeps a shelf filled with what the agent says, from whenever it begins to say something.
struct BundleFollower: Sendable {
    let endpoint: WorkloadEndpoint
    let shelf: BundleShelf
    let logger: Logger

    /// How long one wait for the first answer lasts; another follows.
    private static let patience = Duration.seconds(3600)

    /// Follows until cancelled.
    ///
    /// - Parameter onReady: Called once, when bundles of both kinds are held.
    /// - Throws: ``Failure`` when the endpoint is none that could ever give bundles; what `onReady` throws.
    func run(onReady: () async throws -> Void) async throws {
        let source = try await start()
        do {
            // The newest state, not the first: whoever asks gets what is held now.
            var (jwt, x509) = (source.jwtUpdates.makeAsyncIterator(), source.x509Updates.makeAsyncIterator())
            if let update = await jwt.next() { place(update) }
            if let update = await x509.next() { place(update) }
            try await onReady()
        } catch {
            await source.close()
            throw error
        }
        await withTaskGroup(of: Void.self) { group in
            group.addTask { for await update in source.jwtUpdates { place(update) } }
            group.addTask { for await update in source.x509Updates { place(update) } }
        }
        await source.close()
        try Task.checkCancellation()
    }

    private func start() async throws -> BundleSource {
        while true {
            do throws(WorkloadAPIError) {
                return try await BundleSource.start(
                    options: SourceOptions(endpoint: endpoint, timeout: Self.patience, logger: logger))
            } catch {
                try Task.checkCancellation()
                if error.code == .invalidRequest || error.code == .unsupported {
                    throw Failure(
                        .refused, "\(endpoint) gives no bundles: \(error)",
                        hint: "give --socket the workload endpoint of a SPIFFE agent")
                }
                logger.warning(
                    "still no bundles", metadata: ["code": "\(error.code)", "error": "\(error)"])
            }
            try await Task.sleep(for: .seconds(1))
        }
    }

    private func place(_ update: Result<[TrustDomain: JWTBundle], WorkloadAPIError>) {
        shelf.update { $0.jwt = try? update.get() }
    }

    private func place(_ update: Result<X509BundleUpdate, WorkloadAPIError>) {
        let state = try? update.get()
        shelf.update {
            $0.x509 = state?.bundles
            $0.revocationLists = state?.revocationLists ?? []
        }
    }
}
