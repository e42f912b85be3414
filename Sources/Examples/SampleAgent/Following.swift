internal import X509

import Foundation
import SPIFFE
import WorkloadIdentity

/// What the endpoint gives now, or that it gives nothing any more, as one line of JSON.
private struct Line: Encodable {
    var event: String
    var ids: [String] = []
    var serials: [String] = []
    var domains: [String] = []
    var reason: String?

    init(_ update: X509Update) {
        event = "update"
        ids = update.svids.map { "\($0.id)" }
        serials = update.svids.compactMap { $0.certificates.first.map { "\($0.serialNumber)" } }
        domains = update.bundles.keys.map(\.name).sorted()
    }

    init(_ error: WorkloadAPIError) {
        event = "withdrawn"
        reason = "\(error.code)"
    }
}

/// Follows the endpoint until the process is ended, and prints a line for each state.
///
/// A service would serve here: the source keeps itself up to date, over rotations and restarts of the agent.
func follow(waitingAtMost timeout: Duration) async throws {
    let source = try await X509Source.start(options: SourceOptions(timeout: timeout))
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    for await update in source.updates {
        let line =
            switch update {
            case .success(let state): Line(state)
            case .failure(let error): Line(error)
            }
        try FileHandle.standardOutput.write(contentsOf: try encoder.encode(line) + Data("\n".utf8))
    }
}
