package import LinuxKernel

/// Decides whether the file found now is what was executed then.
package enum ImageJudge {
    /// What can be said of the digest of a file.
    package enum Verdict: Hashable, Sendable {
        /// It is not the file that was executed.
        case other(Gap)
        /// The link leads to another file than the kernel mapped.
        case another(Gap)
        /// Nobody but root could change it.
        case unchangeable
        /// It has not changed since, so hashing it says what was executed; compare again afterwards.
        case unchanged
        case unmeasured(Gap)
    }

    /// The moment of an exec, in the clock of files.
    package struct Moment: Hashable, Sendable {
        /// The earliest stamp that a change after it can carry, in nanoseconds since 1970.
        package var instant: Int64
        /// How far behind a file's stamp may be, in nanoseconds.
        package var slack: Int64

        package init(instant: Int64, slack: Int64) { (self.instant, self.slack) = (instant, slack) }
    }

    /// Judges a program.
    ///
    /// - Parameters:
    ///   - facts: Of the file that the exe link leads to now.
    ///   - mapped: The file that the kernel mapped when the process executed.
    ///   - moment: When that was; nil when it cannot be compared with the stamps of files.
    /// - Returns: What can be said of its digest.
    package static func judge(_ facts: FileFacts, executed mapped: MappedFile, at moment: Moment?) -> Verdict {
        guard facts.device.major == mapped.deviceMajor, facts.device.minor == mapped.deviceMinor,
            facts.inode == mapped.inode
        else { return .another(Gap("the exe link leads to another file than the kernel mapped")) }
        if let moment {
            guard facts.matches(mapped, at: moment.instant - moment.slack) else {
                return .another(Gap("the exe link may lead to a file that was made after the exec"))
            }
        } else if facts.generation != mapped.generation {
            return .other(Gap("when it was executed cannot be compared with the times of files"))
        }
        guard facts.isLocal else {
            return .unmeasured(Gap("its file system (\(facts.fileSystemName)) may change files from elsewhere"))
        }
        if facts.isWritableByRootOnly { return .unchangeable }
        guard facts.stampsEveryChange else {
            return .unmeasured(Gap("its file system (\(facts.fileSystemName)) does not tell of every change"))
        }
        guard let moment else {
            return .unmeasured(Gap("when it was executed cannot be compared with the times of files"))
        }
        // While it is executed nobody can write to it. Should the process have let go of it and taken it back, a
        // change has left a stamp that is later than the exec.
        guard facts.changed < moment.instant - moment.slack else {
            return .unmeasured(Gap("the file was changed or renamed just before its exec or after it"))
        }
        return .unchanged
    }
}
