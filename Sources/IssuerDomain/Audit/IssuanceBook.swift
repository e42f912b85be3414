package import Foundation
package import Logging
package import Platform
internal import Synchronization

/// What is written down of a server's calls: every credential that was signed, and refusals that are no flood.
///
/// Records go to the spool before the answer leaves, and from there to the store, many at once.
package final class IssuanceBook: Sendable {
    /// How long records may be in the spool alone while the store takes them.
    package static let patience = Duration.milliseconds(100)
    /// When a store that took nothing is asked again.
    package static let pause = Duration.seconds(1)

    private let spool: any IssuanceSpool
    private let records: any IssuanceRecords
    private let server: String
    private let denials = DenialSummary()
    private let delivering = Turnstile()
    private let pending: AsyncStream<Void>
    private let arrival: AsyncStream<Void>.Continuation

    /// Creates a book; whatever an earlier process left in the spool is part of it.
    ///
    /// - Parameters:
    ///   - spool: Where records wait.
    ///   - records: Where they are kept.
    ///   - server: Whose spool it is.
    package init(spool: any IssuanceSpool, records: any IssuanceRecords, server: String) {
        (self.spool, self.records, self.server) = (spool, records, server)
        (pending, arrival) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
        arrival.yield()
    }

    /// Adds records; what is to be kept of them outlives the process on return.
    ///
    /// - Parameters:
    ///   - records: In order.
    ///   - source: What their caller is told from others by.
    ///   - isStranger: Whether the caller could take another source at will.
    /// - Throws: ``StoreError``; then none of them is kept.
    package func append(_ records: [IssuanceRecord], from source: String, isStranger: Bool) throws(StoreError) {
        try write(records.filter { denials.admits($0, from: source, isStranger: isStranger) })
    }

    /// Writes down what was only counted so far.
    ///
    /// - Parameters:
    ///   - now: The time.
    ///   - isEnding: Whether nobody will call again.
    /// - Throws: ``StoreError``; then it is tried again with the next call.
    package func settle(now: Date, isEnding: Bool = false) throws(StoreError) {
        let summaries = denials.take(now: now, isEnding: isEnding)
        do throws(StoreError) { try write(summaries) } catch {
            denials.giveBack(summaries)
            throw error
        }
    }

    /// Hands everything written down so far to the store; durable on return.
    ///
    /// - Throws: ``StoreError``; what was not handed over stays in the spool.
    package func deliver() async throws(StoreError) {
        try await delivering.pass { () async throws(StoreError) in
            for number in try spool.seal() {
                let segment = IssuanceSegment(server: server, number: number)
                try await records.append(try spool.records(in: number), of: segment)
                try spool.remove(number)
            }
        }
    }

    /// Hands over what comes in, until cancelled.
    ///
    /// - Parameters:
    ///   - clock: Tells how long to wait.
    ///   - logger: For a store that takes nothing, and for when it does again.
    /// - Throws: `CancellationError`.
    package func follow(clock: any WallClock, logger: Logger) async throws {
        var isStuck = false
        for await _ in pending {
            do throws(StoreError) {
                try await deliver()
                if isStuck { logger.notice("issuance records reach the store again") }
                isStuck = false
            } catch {
                if !isStuck { logger.error("issuance records wait for the store", metadata: ["error": "\(error)"]) }
                isStuck = true
                flush(logger)
                arrival.yield()
            }
            try await clock.sleep(for: isStuck ? Self.pause : Self.patience)
        }
        try Task.checkCancellation()
    }

    private func flush(_ logger: Logger) {
        do throws(StoreError) { try spool.flush() } catch {
            logger.error("issuance records that wait are not on disk", metadata: ["error": "\(error)"])
        }
    }

    private func write(_ records: [IssuanceRecord]) throws(StoreError) {
        guard !records.isEmpty else { return }
        try spool.append(records)
        arrival.yield()
    }
}
