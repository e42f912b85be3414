internal import ArgumentParser
internal import WorkloadAttestation

/// What the exec journal looks at.
struct JournalOptions: ParsableArguments {
    @Flag(inversion: .prefixedNo, help: "Note what each process executes; without it no process reaches AL3.")
    var execJournal = true

    @Option(
        help: ArgumentHelp(
            "A folder on whose file system scripts are noted; repeat for more. All local ones by default.",
            valueName: "dir"))
    var execJournalMount: [String] = []

    func configuration() -> ExecJournalConfiguration? {
        execJournal
            ? Self.configuration(mounts: execJournalMount, limit: HashingBudget.defaultSizeLimit) : nil
    }

    static func configuration(mounts: [String], limit: Int64) -> ExecJournalConfiguration {
        ExecJournalConfiguration(
            fileSystems: mounts.isEmpty ? .local : .holding(mounts.map { WorkloadOptions.absolute($0) }),
            sizeLimit: limit)
    }
}
