internal import AgentDomain
internal import GRPCWire
internal import LinuxKernel
internal import Platform
internal import SPIFFE
internal import SwiftProtobuf
internal import WorkloadAPIProtos
internal import WorkloadAttestation

/// `mintmark.v1.Attestation`: answers about the processes of this machine.
final class AttestationQuestions: Sendable {
    private static let nearMissLimit = 5
    private static let peerLimit = 16

    private let examiner: ProcessExaminer
    private let state: AgentState
    private let clock: any WallClock
    private let host: @Sendable (Asker) -> HostReport

    init(
        examiner: ProcessExaminer, state: AgentState, clock: any WallClock,
        host: @escaping @Sendable (Asker) -> HostReport
    ) {
        (self.examiner, self.state, self.clock, self.host) = (examiner, state, clock, host)
    }

    /// Answers a question.
    ///
    /// - Parameters:
    ///   - method: Which one.
    ///   - bytes: The request message.
    ///   - asker: Who asks.
    /// - Returns: The answer's message.
    /// - Throws: `CallStatus`.
    func answer(_ method: AttestationMethod, _ bytes: [UInt8], for asker: Asker) async throws(CallStatus) -> [UInt8] {
        switch method {
        case .explain: try Self.message(try await explain(try Self.request(bytes), for: asker))
        case .suggestSelectors: try Self.message(try await suggest(try Self.request(bytes), for: asker))
        case .testEntry: try Self.message(try await test(try Self.request(bytes), for: asker))
        case .findPeer: try Self.message(try await findPeer(try Self.request(bytes), for: asker))
        case .describeHost: try Self.message(describeHost(for: asker))
        }
    }

    private func explain(
        _ request: Mintmark_V1_ExplainRequest, for asker: Asker
    ) async throws(CallStatus) -> Mintmark_V1_ExplainResponse {
        let examination = try await examiner.examine(try Self.pid(request.pid), for: asker)
        let (matcher, now) = (state.view.matcher, clock.now)
        let matches = matcher.matches(examination.judgement.attestation, now: now)
        // Others' entries are neither told of nor counted, except to an admin.
        let visible = state.view.entries.values.filter { asker.maySee($0, namesOf: examination) }
        let misses = EntryMatcher(visible).nearMisses(examination.judgement.attestation, now: now, limit: 64)
        let shown = misses.prefix(Self.nearMissLimit)
        return .with {
            $0.process = examination.message
            $0.matches = matches.map(Self.match)
            $0.nearMisses = shown.map { SelectorAdvice.miss($0, on: examination) }
            $0.hiddenNearMisses = UInt32(clamping: misses.count - shown.count)
        }
    }

    private func suggest(
        _ request: Mintmark_V1_SuggestSelectorsRequest, for asker: Asker
    ) async throws(CallStatus) -> Mintmark_V1_SuggestSelectorsResponse {
        SelectorAdvice.suggestions(for: try await examiner.examine(try Self.pid(request.pid), for: asker))
    }

    private func test(
        _ request: Mintmark_V1_TestEntryRequest, for asker: Asker
    ) async throws(CallStatus) -> Mintmark_V1_TestEntryResponse {
        let examination = try await examiner.examine(try Self.pid(request.pid), for: asker)
        let entry = try entry(request, for: asker, examination)
        let (matcher, now) = (EntryMatcher([entry]), clock.now)
        let miss = matcher.nearMisses(examination.judgement.attestation, now: now, limit: 1).first
        return .with {
            $0.process = examination.message
            // Asked for itself: what is meant for a store misses nothing, and still is served to nobody.
            $0.matches = !matcher.matches(examination.judgement.attestation, now: now).isEmpty
            if let miss { $0.miss = SelectorAdvice.miss(miss, on: examination) }
        }
    }

    /// The entry that a test is about: a registered one, or one made up of the request.
    private func entry(
        _ request: Mintmark_V1_TestEntryRequest, for asker: Asker, _ examination: Examination
    ) throws(CallStatus) -> AuthorizedEntry {
        guard request.entryID.isEmpty else {
            guard let entry = state.view.entries[request.entryID], asker.maySee(entry, namesOf: examination) else {
                throw CallStatus(.notFound, "this agent serves no entry with ID '\(request.entryID)'")
            }
            return entry
        }
        guard (1...64).contains(request.selectors.count) else {
            throw CallStatus(.invalidArgument, "1 to 64 selectors are needed")
        }
        guard let level = AssuranceLevel(rawValue: Int(request.minimumAssurance)) else {
            throw CallStatus(.invalidArgument, "minimum assurance must be 0 to 3")
        }
        var selectors: Set<Selector> = []
        for text in request.selectors {
            do { selectors.insert(try Selector(parsing: text)) } catch {
                throw CallStatus(.invalidArgument, "selector '\(text)': \(error)")
            }
        }
        guard let trustDomain = state.view.bundle?.trustDomain else { throw CallRefusal.notReady.status() }
        return AuthorizedEntry(
            id: "(not registered)", spiffeID: trustDomain.id, selectors: selectors, revision: 0, createdAt: clock.now,
            terms: AssuranceTerms(minimum: level, allowsJIT: request.allowJit))
    }

    private func findPeer(
        _ request: Mintmark_V1_FindPeerRequest, for asker: Asker
    ) async throws(CallStatus) -> Mintmark_V1_FindPeerResponse {
        if case .tcpPort(let port)? = request.socket, UInt16(exactly: port) ?? 0 == 0 {
            throw CallStatus(.invalidArgument, "port must be 1 to 65535")
        }
        guard let socket = request.socket else { throw CallStatus(.invalidArgument, "a socket must be named") }
        let holders = try await examiner.search(for: asker) {
            switch socket {
            case .tcpPort(let port): await SocketSearch.holders(ofPort: UInt16(clamping: port))
            case .unixPath(let path): await SocketSearch.holders(ofPath: path)
            case .unixInode(let inode): await SocketSearch.holders(ofPeerOf: inode)
            }
        }
        var response = Mintmark_V1_FindPeerResponse()
        for holder in holders {
            guard response.peers.count < Self.peerLimit, !Task.isCancelled else { break }
            do throws(CallStatus) {
                let examination = try await examiner.examine(holder.pid, for: asker)
                let matches = state.view.matcher.matches(examination.judgement.attestation, now: clock.now)
                response.peers.append(
                    .with {
                        $0.process = examination.message
                        $0.matches = matches.map(Self.match)
                        $0.role = holder.role
                    })
            } catch {
                // Others' processes are not told of, not even that they are there.
                guard asker.isAdmin else { continue }
                response.peers.append(
                    .with {
                        $0.process = .with { $0.pid = holder.pid }
                        $0.role = holder.role
                        $0.failure = error.message
                    })
            }
        }
        return response
    }

    private func describeHost(for asker: Asker) -> Mintmark_V1_DescribeHostResponse {
        let report = host(asker)
        return .with {
            $0.highestLevel = UInt32(report.highestLevel.number)
            $0.checks = report.checks.map { check in
                .with {
                    $0.name = check.name
                    $0.standing =
                        switch check.standing {
                        case .good: .good
                        case .limited: .limited
                        case .missing: .missing
                        }
                    $0.detail = check.detail
                    $0.consequence = check.consequence
                    $0.remedy = check.remedy
                }
            }
        }
    }

    // MARK: Messages

    private static func match(_ entry: AuthorizedEntry) -> Mintmark_V1_MatchedEntry {
        .with {
            $0.entryID = entry.id
            $0.spiffeID = "\(entry.spiffeID)"
            $0.hint = entry.hint
        }
    }

    private static func pid(_ pid: Int32) throws(CallStatus) -> Int32 {
        guard pid > 0 else { throw CallStatus(.invalidArgument, "process number must be positive") }
        return pid
    }

    private static func request<Message: SwiftProtobuf.Message>(_ bytes: [UInt8]) throws(CallStatus) -> Message {
        do { return try Message(serializedBytes: bytes) } catch {
            throw CallStatus(.invalidArgument, "request is not a well-formed message")
        }
    }

    private static func message(_ message: some SwiftProtobuf.Message) throws(CallStatus) -> [UInt8] {
        do { return try message.serializedBytes() } catch { throw CallStatus(.internal, "answer cannot be written") }
    }
}

extension Asker {
    /// Whether an entry may be told of: any to an admin, to others those that name their own user.
    fileprivate func maySee(_ entry: AuthorizedEntry, namesOf examination: Examination) -> Bool {
        guard !isAdmin else { return true }
        let user = examination.evidence.accountNames.value?.user
        return entry.selectors.contains { selector in
            guard selector.kind == "unix" else { return false }
            if selector.value.utf8.elementsEqual("uid:\(uid)".utf8) { return true }
            return user.map { selector.value.utf8.elementsEqual("user:\($0)".utf8) } ?? false
        }
    }
}

/// The calls of `mintmark.v1.Attestation`.
package enum AttestationMethod: String, CaseIterable, Sendable {
    case explain = "Explain"
    case suggestSelectors = "SuggestSelectors"
    case testEntry = "TestEntry"
    case findPeer = "FindPeer"
    case describeHost = "DescribeHost"

    package var path: String { "/mintmark.v1.Attestation/\(rawValue)" }
}
