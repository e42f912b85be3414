/// What the exec journal looks at, and how much it may take.
package struct ExecJournalConfiguration: Hashable, Sendable {
    /// The file systems whose execs fanotify reports, to learn of scripts.
    ///
    /// Programs are told without it.
    package var fileSystems: FileSystems
    /// Directories and files whose execs wait until the journal has looked at the script; see ``GuardianCommand``.
    package var guarded: [String]
    /// How to start the guardian; required with ``guarded``.
    package var guardian: GuardianCommand?
    /// The most scripts whose closing is reported at once.
    package var mostGuardedScripts: Int
    /// The most scripts that are held open for the running processes of one user.
    package var mostScriptsOfUser: Int
    /// The most processes recorded at once.
    package var capacity: Int
    /// The largest program hashed, in bytes.
    package var sizeLimit: Int64
    /// How long events may wait before they are taken in, when nobody asks but someone watches a process.
    package var pause: Duration
    /// The same when nobody watches: every awakening takes a processor from those that are watched over.
    package var unwatchedPause: Duration
    /// Whether a thread of the journal's takes events in; without it only those who ask do.
    ///
    /// Off in tests only.
    package var runsInBackground: Bool

    package enum FileSystems: Hashable, Sendable {
        /// Every local one that is mounted, also later.
        case local
        /// What is executed through the mounts that hold these directories, and nothing else.
        case mounts([String])
    }

    package init(
        fileSystems: FileSystems = .local, guarded: [String] = [], guardian: GuardianCommand? = nil,
        mostGuardedScripts: Int = 4096, mostScriptsOfUser: Int = 1024,
        capacity: Int = 1 << 18, sizeLimit: Int64 = 1 << 29, pause: Duration = .milliseconds(8),
        unwatchedPause: Duration = .milliseconds(50), runsInBackground: Bool = true
    ) {
        self.fileSystems = fileSystems
        self.guarded = guarded
        self.guardian = guardian
        (self.mostGuardedScripts, self.mostScriptsOfUser) = (mostGuardedScripts, mostScriptsOfUser)
        self.capacity = capacity
        self.sizeLimit = sizeLimit
        self.pause = pause
        self.unwatchedPause = unwatchedPause
        self.runsInBackground = runsInBackground
    }
}

/// How the guardian is started: a program that calls `GuardianProcess.run(arguments:)` with the arguments that follow
/// these.
package struct GuardianCommand: Hashable, Sendable {
    package var path: String
    package var arguments: [String]

    package init(path: String, arguments: [String]) { (self.path, self.arguments) = (path, arguments) }
}
