package import AgentDomain
internal import LinuxKernel
internal import SPIFFE

/// What evidence comes to: levels, selectors, and what was missing for more.
package struct Judgement: Hashable, Sendable {
    package var attestation: Attestation
    /// Everything that stands between the process and the highest level, lowest level first.
    package var missing: [MissingProof]

    package init(attestation: Attestation, missing: [MissingProof]) {
        (self.attestation, self.missing) = (attestation, missing)
    }
}

/// Says which level evidence proves.
///
/// Pure: the same evidence always comes to the same judgement.
package enum AssuranceJudge {
    /// Judges evidence.
    ///
    /// - Parameter evidence: As it was gathered.
    /// - Returns: The levels with and without anonymous code, the selectors that stand at them, and every missing proof.
    package static func judge(_ evidence: Evidence) -> Judgement {
        let missing = missingProofs(evidence).sorted { $0.level < $1.level }
        let vouched = missing.filter { $0.proof != .vouchedLibraries }
        let highestVouched = highest(vouched.filter { !$0.proof.isAboutJIT })
        var attestation = Attestation(
            selectors: SelectorMaker.selectors(of: evidence, level: highest(vouched), admittingJIT: highestVouched),
            level: highest(missing), levelAdmittingJIT: highest(missing.filter { !$0.proof.isAboutJIT }),
            methods: methods(evidence))
        attestation.unvouched = SelectorMaker.libraries(unvouched(evidence))
        (attestation.levelVouched, attestation.levelVouchedAdmittingJIT) = (highest(vouched), highestVouched)
        return Judgement(attestation: attestation, missing: missing)
    }

    /// What is mapped as code beside the executable and could be of anybody's making.
    private static func unvouched(_ evidence: Evidence) -> [MappedCode] {
        evidence.code.value?.files.filter { !$0.isExecutable && !$0.isImmutable } ?? []
    }

    /// The level below the lowest that lacks something.
    private static func highest(_ missing: [MissingProof]) -> AssuranceLevel {
        guard let lowest = missing.map(\.level).min() else { return .measuredExec }
        return AssuranceLevel(rawValue: lowest.number - 1) ?? .account
    }

    private static func missingProofs(_ evidence: Evidence) -> [MissingProof] {
        var list = ProofList()
        fileOfLink(evidence, &list)
        binding(evidence, &list)
        link(evidence, &list)
        circumstances(evidence, &list)
        code(evidence, &list)
        measurement(evidence, &list)
        return list.missing
    }

    /// What the first level needs.
    private static func fileOfLink(_ evidence: Evidence, _ list: inout ProofList) {
        list.require(.executableLink, .ownNumber, evidence.namespaces.pidOwner) { owner in
            owner == HostAbilities.initialUserNamespace
                ? nil : "its PID namespace belongs to user namespace \(owner), where numbers can be forged"
        }
        switch evidence.executable {
        case .known(let executable, _):
            if let gap = executable.digest.gap { list.add(.executableLink, .executableDigest, "\(gap)") }
        case .unknown(let gap): list.add(.executableLink, .executableDigest, "\(gap)")
        }
    }

    /// What ties the connection to one process and one image.
    private static func binding(_ evidence: Evidence, _ list: inout ProofList) {
        if !evidence.host.canLookAtAll {
            list.add(.boundImage, .privilegedAgent, "the node agent does not run with the rights of root")
        }
        if !evidence.connection.isPinned, let gap = evidence.record.gap {
            list.add(
                .boundImage, .pinnedConnection,
                "the kernel did not pin the process at connect (SO_PEERPIDFD, Linux 6.5), and \(gap)")
        }
        if !evidence.connection.isLive {
            list.add(.boundImage, .liveConnection, "the connector has not answered a challenge")
        }
        list.require(.boundImage, .sameImage, evidence.isSameImage) {
            $0 ? nil : "it has executed another program since it connected"
        }
        if case .known(let record, _) = evidence.record {
            for taint in record.taints.sorted(by: { $0.rawValue < $1.rawValue }) {
                list.add(.boundImage, .untainted, "\(taint.rawValue) since it was executed")
            }
        }
    }

    /// Whether the link still names what was executed.
    ///
    /// One that does not was forged, so the second level is gone, too.
    private static func link(_ evidence: Evidence, _ list: inout ProofList) {
        guard let program = evidence.record.value?.image.value?.program, let executable = evidence.executable.value
        else { return }
        if !executable.state.identity.isSameFile(as: program.identity) {
            list.add(.boundImage, .executedFile, "its link names another file than it executed")
        } else if case .measured(let digest) = program.digest, let now = executable.digest.value,
            !now.utf8.elementsEqual(digest.utf8)
        {
            list.add(.boundImage, .executedFile, "its executable has changed since it was executed")
        }
    }

    private static func circumstances(_ evidence: Evidence, _ list: inout ProofList) {
        let places = evidence.namespaces
        for (name, fact) in [("user", places.user), ("mount", places.mount), ("pid", places.pid)] {
            if let gap = fact.gap { list.add(.boundImage, .namespaces, "\(name) namespace: \(gap)") }
        }
        list.require(.boundImage, .notTraced, evidence.confinement.tracer) {
            $0 == 0 ? nil : "process \($0) traces it"
        }
        guard let executable = evidence.executable.value else { return }
        if executable.isMemory {
            list.add(.boundImage, .fileSystem, "its executable is memory without a name, not a file")
        } else if executable.fileSystem.isOverlay {
            list.require(.boundImage, .fileSystem, executable.isOnTrustedMount) {
                $0 ? nil : "its executable is on an overlay that is not among the mounts of its namespace"
            }
        } else if !executable.fileSystem.isLocal {
            list.add(
                .boundImage, .fileSystem,
                "its executable is on \(executable.fileSystem), where contents can change unseen")
        }
    }

    private static func code(_ evidence: Evidence, _ list: inout ProofList) {
        list.require(.boundImage, .entryPoint, evidence.entersExecutable) {
            $0 ? nil : "its executable is not mapped at its entry point"
        }
        switch evidence.code {
        case .unknown(let gap):
            // Each on its own: to admit the one is not to admit the other.
            list.add(.boundImage, .noAnonymousCode, "\(gap)")
            list.add(.boundImage, .unchangedCode, "\(gap)")
        case .known(let code, _):
            if let anonymous = code.anonymous { list.add(.boundImage, .noAnonymousCode, anonymous) }
            list.require(.boundImage, .unchangedCode, code.changed) { $0 }
            for file in code.files where !file.isExecutable {
                if let gap = file.digest.gap { list.add(.measuredExec, .knownLibraries, "\(file.path): \(gap)") }
            }
            // Where nobody saw what was executed, code of somebody else's making may be what really runs.
            let isSeen = evidence.record.value?.image.value != nil
            for file in unvouched(evidence) {
                list.add(
                    isSeen ? .measuredExec : .boundImage, .vouchedLibraries,
                    "\(file.path) can be changed by others than root, and counts only for an entry that names it by code:lib"
                )
            }
        }
    }

    /// What the third level needs beyond the mappings.
    private static func measurement(_ evidence: Evidence, _ list: inout ProofList) {
        guard case .known(let record, _) = evidence.record else {
            list.add(.measuredExec, .measuredExec, evidence.record.gap?.description ?? "")
            return
        }
        guard case .known(let image, _) = record.image else {
            list.add(.measuredExec, .measuredExec, record.image.gap?.description ?? "")
            return
        }
        if case .unmeasured(let gap) = image.program.digest { list.add(.measuredExec, .measuredExec, "\(gap)") }
        if case .pending = image.program.digest, let executable = evidence.executable.value,
            executable.state.identity != image.program.identity
        {
            list.add(.measuredExec, .measuredExec, "its executable has changed before it was measured")
        }
        for script in evidence.scripts {
            if let gap = script.gap { list.add(.measuredExec, .measuredScripts, "\(gap)") }
        }
    }

    private static func methods(_ evidence: Evidence) -> [String] {
        var methods: [String] = ["credentials"]
        if evidence.connection.isPinned { methods.append("pidfd") }
        if evidence.connection.isLive { methods.append("liveness") }
        if evidence.executable.value?.digest.value != nil { methods.append("link-digest") }
        if evidence.code.value != nil { methods.append("code-map") }
        if evidence.record.value != nil { methods.append("exec-journal") }
        return methods
    }
}

/// What was found missing so far.
private struct ProofList {
    private(set) var missing: [MissingProof] = []

    mutating func add(_ level: AssuranceLevel, _ proof: MissingProof.Proof, _ reason: String) {
        missing.append(MissingProof(level: level, proof: proof, reason: reason))
    }

    /// Adds a proof that a fact does not give; what is unknown gives none.
    mutating func require<Value>(
        _ level: AssuranceLevel, _ proof: MissingProof.Proof, _ fact: Fact<Value>, objection: (Value) -> String?
    ) {
        switch fact {
        case .known(let value, _):
            if let reason = objection(value) { add(level, proof, reason) }
        case .unknown(let gap): add(level, proof, "\(gap)")
        }
    }
}
