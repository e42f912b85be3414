internal import ArgumentParser
internal import WorkloadAttestation

/// What the exec journal looks at.
struct JournalOptions: ParsableArguments {
    @Flag(inversion: .prefixedNo, help: "Note what each process executes; without it no process reaches AL3.")
    var execJournal = true

    @Option(
        help: ArgumentHelp(
            "A mount on which scripts are noted; repeat for more. All local file systems by default.",
            valueName: "dir"))
    var execJournalMount: [String] = []

    @Option(
        help: ArgumentHelp(
            "A folder or script whose execs wait until the script has been measured, for exec:script selectors; repeat for more.",
            valueName: "path"))
    var guardScripts: [String] = []

    func configuration() -> ExecJournalConfiguration? {
        execJournal
            ? Self.configuration(
                mounts: execJournalMount, guarded: guardScripts, limit: HashingBudget.defaultSizeLimit) : nil
    }

    static func configuration(mounts: [String], guarded: [String], limit: Int64) -> ExecJournalConfiguration {
        ExecJournalConfiguration(
            fileSystems: mounts.isEmpty ? .local : .mounts(mounts.map { WorkloadOptions.absolute($0) }),
            guarded: guarded.map { WorkloadOptions.absolute($0) },
            guardian: GuardianCommand(path: "/proc/self/exe", arguments: GuardianSubcommand.words), sizeLimit: limit)
    }
}
