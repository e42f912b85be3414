// What tests and measurements of the exec journal need as a process of its own:
//
//     journal-host guardian           the guardian of held execs
//     journal-host run FOLDER [GUARDED...]   a journal that looks at FOLDER's file system (`local`: all), until stdin ends

import Foundation
import LinuxKernel
import WorkloadAttestation

let words = CommandLine.arguments
switch words.dropFirst().first {
case "guardian": try GuardianProcess.run()
case "run" where words.count >= 3:
    let systems: ExecJournalConfiguration.FileSystems = words[2] == "local" ? .local : .mounts([words[2]])
    let journal = try ExecJournal(
        ExecJournalConfiguration(
            fileSystems: systems, guarded: Array(words.dropFirst(3)),
            guardian: GuardianCommand(path: "/proc/self/exe", arguments: ["guardian"])))
    print("ready")
    fflush(nil)
    while readLine() != nil {}
    print(journal.status)
    journal.stop()
default:
    print("usage: journal-host guardian | run FOLDER|local [GUARDED...]")
    exit(64)
}
