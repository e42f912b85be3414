// Measures what users wait for. One command, one table:
//
//     swift run -c release mintmark-bench
//
// Starts `mintmark up` from the same build folder, or measures any SPIFFE agent with --socket. Times are this machine's;
// compare ratios, and each row with the floor beside it.

import Foundation

struct Options {
    var socket: String?
    var binary = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent()
        .appendingPathComponent("mintmark").path
    var sample = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent()
        .appendingPathComponent("sample-agent").path
    /// Whether evidence is all that is measured.
    var onlyEvidence = false
    /// Whether signing is all that is measured.
    var onlySigning = false
    var count = 500

    init(_ arguments: [String]) throws {
        var rest = arguments[...]
        while let flag = rest.popFirst() {
            if flag == "--evidence" {
                onlyEvidence = true
                continue
            }
            if flag == "--signing" {
                onlySigning = true
                continue
            }
            switch (flag, rest.popFirst()) {
            case ("--socket", let value?): socket = value
            case ("--binary", let value?): binary = value
            case ("--sample", let value?): sample = value
            case ("--count", let value?): count = Int(value) ?? count
            default:
                print(
                    "usage: mintmark-bench [--binary PATH] [--sample PATH] [--socket unix:///PATH] [--count N] [--evidence] [--signing]"
                )
                exit(64)
            }
        }
    }
}

/// Prints all rows below one header.
func show(_ rows: [[String]]) {
    let header = ["BENCHMARK", "N", "RATE", "P50", "P99"]
    let widths = header.indices.map { column in ([header] + rows).map { $0[column].count }.max() ?? 0 }
    for row in [header] + rows {
        print(zip(row, widths).map { $0.padding(toLength: $1 + 2, withPad: " ", startingAt: 0) }.joined())
    }
}

let options = try Options(Array(CommandLine.arguments.dropFirst()))
if options.onlySigning {
    show(try await SigningBenchmark.run(count: options.count))
    exit(0)
}
var rows: [[String]] = []
if !options.onlyEvidence {
    rows += try await TokenBenchmark.run(count: options.count)
    rows += try await VerificationBenchmark.run(count: options.count)
    rows += try await SigningBenchmark.run(count: options.count)
}
rows += try EvidenceBenchmark.run(sample: options.sample, count: options.count)
if options.onlyEvidence {
    // That was all.
} else if let socket = options.socket {
    rows += try await WorkloadBenchmark.run(endpoint: socket, count: options.count).map(\.row)
} else {
    let server = try await RunningServer.start(binary: options.binary)
    try server.registerSelf(binary: options.binary)
    rows += try await WorkloadBenchmark.run(endpoint: server.endpoint, count: options.count).map(\.row)
    rows.append(["resident memory after the run", "", "", "\(server.residentKiB() / 1024) MiB", ""])
    server.stop()
    let starts = try await StartUpBenchmark.run(binary: options.binary, count: 10)
    rows.append(starts.measurement.row)
    rows.append(["resident memory, idle", "", "", "\(starts.idleKiB / 1024) MiB", ""])
}

show(rows)
