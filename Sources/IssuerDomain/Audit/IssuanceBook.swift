package import Foundation

/// What is written down of a server's calls: every credential that was signed, and refusals that are no flood.
package struct IssuanceBook: Sendable {
    private let journal: IssuanceJournal
    private let denials = DenialSummary()

    package init(_ records: any IssuanceRecords) { journal = IssuanceJournal(records) }

    /// Adds records; what is to be kept of them is durable on return.
    ///
    /// - Parameters:
    ///   - records: In order.
    ///   - source: What their caller is told from others by.
    ///   - isStranger: Whether the caller could take another source at will.
    /// - Throws: ``StoreError``; then none of them is kept.
    package func append(
        _ records: [IssuanceRecord], from source: String, isStranger: Bool
    ) async throws(StoreError) {
        try await journal.append(records.filter { denials.admits($0, from: source, isStranger: isStranger) })
    }

    /// Writes down what was only counted so far.
    ///
    /// - Parameters:
    ///   - now: The time.
    ///   - isEnding: Whether nobody will call again.
    /// - Throws: ``StoreError``; then it is tried again with the next call.
    package func settle(now: Date, isEnding: Bool = false) async throws(StoreError) {
        let summaries = denials.take(now: now, isEnding: isEnding)
        do throws(StoreError) { try await journal.append(summaries) } catch {
            denials.giveBack(summaries)
            throw error
        }
    }
}
