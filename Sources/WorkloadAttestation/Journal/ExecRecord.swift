package import LinuxKernel

/// What the exec journal knows of one process instance.
package struct ExecRecord: Hashable, Sendable {
    /// Grows with each exec of the instance, from 0 at its fork (or at the journal's start, for one that ran before).
    package var generation: UInt64
    /// What it executed last, measured then; unknown for an instance that has not executed anything since the journal
    /// started, and for one whose exec was not seen in time.
    package var image: Fact<ExecutedImage>
    /// The instance that forked it, if that was seen.
    package var parent: Fact<ProcessInstance>
    /// What has happened to this image since it was executed; empty again after the next exec.
    package var taints: Set<Taint>

    package init(
        generation: UInt64, image: Fact<ExecutedImage>, parent: Fact<ProcessInstance>, taints: Set<Taint> = []
    ) {
        (self.generation, self.image, self.parent, self.taints) = (generation, image, parent, taints)
    }

    /// Something that makes an image other than what was executed, or its process another principal.
    package enum Taint: String, Hashable, Sendable, CaseIterable {
        /// Someone has attached to it with ptrace.
        case traced
        /// Its user or group ids have changed.
        case idsChanged = "ids-changed"
        /// Its exe link leads to another file than the kernel mapped when it executed.
        case linkForged = "link-forged"
        /// The script it was started from was opened for writing.
        case scriptWritten = "script-written"
    }
}

/// What an exec executed: the program, and the script that named it, if a `#!` line did.
package struct ExecutedImage: Hashable, Sendable {
    /// The file that became the main executable (of a script: its interpreter).
    package var program: ExecutedFile
    /// The files whose `#!` lines led there, in the order in which the kernel opened them; empty without any.
    package var scripts: [ExecutedFile]

    package init(program: ExecutedFile, scripts: [ExecutedFile] = []) {
        (self.program, self.scripts) = (program, scripts)
    }
}

/// A file at the moment it was executed.
package struct ExecutedFile: Hashable, Sendable {
    /// The inode in its state then.
    package var identity: FileIdentity
    /// Where it was in the agent's own mount namespace; unknown when it is not there.
    package var path: Fact<String>
    /// SHA-256 of what was executed, in lower-case hex.
    ///
    /// Unknown with a reason when it could have changed while it was read, or was not read. For a file that no
    /// unprivileged user can write it may be ``DigestState-swift.enum/pending``: hashed when someone asks.
    package var digest: DigestState

    package enum DigestState: Hashable, Sendable {
        case measured(String)
        /// Cannot be changed by an unprivileged user, so hashing the file of that `identity` later says the same.
        case pending
        case unmeasured(Gap)
    }

    package init(identity: FileIdentity, path: Fact<String>, digest: DigestState) {
        (self.identity, self.path, self.digest) = (identity, path, digest)
    }
}
