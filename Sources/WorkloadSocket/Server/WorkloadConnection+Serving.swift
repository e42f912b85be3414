internal import GRPCWire
internal import LinuxKernel
internal import Synchronization

extension WorkloadConnection {
    /// What a worker has to do next for a connection; nothing when the socket was armed again.
    struct Step {
        var answer: [WorkloadCall] = []
        var gather: [WorkloadCall] = []
        /// Calls that were cut off.
        var actions: [@Sendable () -> Void] = []
        var over: CutReason?

        var isNothing: Bool { answer.isEmpty && gather.isEmpty && over == nil }
    }

    /// Whether a worker may have it: only one gets the answer yes before it is armed again.
    func claim() -> Bool {
        state.withLock { state in
            guard !state.isServed else { return false }
            state.isServed = true
            return true
        }
    }

    /// The socket, and whether it is new, asked once by the worker that begins to serve it.
    func begin() -> (socket: ConnectedSocket, isNew: Bool)? {
        state.withLock { state in
            guard let socket = state.socket else { return nil }
            defer { state.isNew = false }
            return (socket, state.isNew)
        }
    }

    /// Takes what was read, and decides what follows.
    ///
    /// - Parameters:
    ///   - read: What a read brought; nil when nothing was there, or none was made.
    ///   - buffer: Holds it.
    ///   - gathered: Calls for which the handler has been run since the last step.
    /// - Returns: What the worker has to do before the next step.
    func advance(
        _ read: Result<ConnectedSocket.Received?, LinuxError>, _ buffer: borrowing [UInt8], gathered: [WorkloadCall]
    ) -> Step {
        let now = server.now()
        return state.withLock { state in
            var step = Step()
            state.isBatching = false
            for call in gathered {
                guard let index = state.calls.firstIndex(where: { $0.call === call }) else { continue }
                state.calls[index].isGathered = true
            }
            switch read {
            case .success(let received?): take(received, buffer, now, &state, &step)
            case .success(nil): break
            case .failure: end(&state, .closedByPeer)
            }
            beginRounds(now, &state, &step)
            for index in state.calls.indices
            where state.calls[index].isInRound && state.calls[index].isGathered && state.calls[index].awaited == nil {
                state.calls[index].isInRound = false
                state.calls[index].challengeDue = nil
                step.answer.append(state.calls[index].call)
            }
            flush(&state)
            if state.cut != nil { return finish(&state, step) }
            if step.isNothing {
                arm(&state, writable: false)
                if state.cut != nil { return finish(&state, step) }
                state.isServed = false
            }
            state.isBatching = !step.answer.isEmpty
            return step
        }
    }

    /// Writes what the handlers have answered.
    func flushAnswers() {
        state.withLock { state in
            state.isBatching = false
            flush(&state)
        }
    }

    /// Takes a read, if it came from whom it must come.
    private func take(
        _ received: ConnectedSocket.Received, _ buffer: borrowing [UInt8], _ now: SuspendingClock.Instant,
        _ state: inout State, _ step: inout Step
    ) {
        if received.broughtDescriptors { return end(&state, .descriptorsPassed) }
        if received.isTruncated { return end(&state, .controlDataTruncated) }
        if received.count == 0 { return end(&state, .closedByPeer) }
        var isAttributed = false
        if let sender = received.sender, sender.pid > 0 {
            guard sender.pid == peer.credentials.pid else { return end(&state, .senderIsAnotherProcess) }
            isAttributed = true
            state.isAttributed = true
        } else if state.isAttributed {
            return end(&state, .senderUnknown)
        }
        state.heard = now
        state.hasAskedForLife = false
        var events: [HTTP2Connection.Event] = []
        state.http2.receive(
            buffer.span.extracting(..<received.count), isAttributed: isAttributed, now: now, events: &events)
        for event in events { take(event, now, &state, &step) }
        if let began = state.http2.unfinishedSince { lower(began.advanced(by: server.settings.transferLimit)) }
    }

    private func take(
        _ event: HTTP2Connection.Event, _ now: SuspendingClock.Instant, _ state: inout State, _ step: inout Step
    ) {
        switch event {
        case .call(let stream, let incoming):
            let call = WorkloadCall(incoming, stream: stream, connection: self, now: now)
            state.calls.append(Record(call: call))
            state.callBytes += call.size
            if let deadline = call.deadline { lower(deadline) }
        // No method of the workload socket takes more than one message.
        case .message, .ended: break
        case .refused(let method, let code): server.count(method, code)
        case .cancelled(let stream):
            guard let index = state.calls.firstIndex(where: { $0.call.stream == stream }) else { return }
            server.count(state.calls[index].call.method, .cancelled)
            if let action = state.calls[index].action { step.actions.append(action) }
            state.removeCall(at: index)
        case .acknowledged(let payload, let isAttributed):
            guard isAttributed, let index = state.challenges.firstIndex(where: { $0.payload == payload }) else {
                return
            }
            // Whoever answered this one is alive after all the earlier ones were sent, too.
            let met = state.challenges[index].number
            state.challenges.removeFirst(index + 1)
            for index in state.calls.indices {
                if let awaited = state.calls[index].awaited, awaited <= met { state.calls[index].awaited = nil }
            }
        }
    }

    /// Sends one challenge for all rounds that are due, so that it is younger than the reason for each.
    private func beginRounds(_ now: SuspendingClock.Instant, _ state: inout State, _ step: inout Step) {
        guard state.cut == nil, state.http2.fault == nil else { return }
        for index in state.calls.indices where state.calls[index].wantsRound && !state.calls[index].isInRound {
            if step.gather.isEmpty {
                state.lastChallenge += 1
                let payload = server.drawChallenge()
                state.challenges.append((payload, state.lastChallenge))
                // Far more than the calls that can wait for one; the rest was given up.
                if state.challenges.count > 256 { state.challenges.removeFirst() }
                state.http2.ping(payload)
                lower(now.advanced(by: server.settings.challengeLimit))
            }
            state.calls[index].wantsRound = false
            state.calls[index].isInRound = true
            state.calls[index].isGathered = false
            state.calls[index].awaited = state.lastChallenge
            state.calls[index].challengeDue = now.advanced(by: server.settings.challengeLimit)
            step.gather.append(state.calls[index].call)
        }
    }

    /// Closes the socket, and cuts off what is open.
    private func finish(_ state: inout State, _ step: Step) -> Step {
        var step = step
        (step.answer, step.gather, step.over) = ([], [], state.cut)
        step.actions += state.calls.compactMap(\.action)
        for record in state.calls { server.count(record.call.method, .cancelled) }
        state.calls = []
        state.socket = nil
        _ = account.keep(-state.keptBytes)
        state.keptBytes = 0
        state.unsent = []
        return step
    }

    // MARK: Deadlines

    /// Does what is due, and notes when something is due next.
    ///
    /// Runs on the supervisor's thread, and never blocks.
    ///
    /// - Returns: What to run for calls that were cut off.
    func expire(now: SuspendingClock.Instant) -> [@Sendable () -> Void] {
        let settings = server.settings
        return state.withLock { state in
            guard state.cut == nil else { return [] }
            if let reason = overdue(now, state) {
                state.http2.goAway()
                flush(&state)
                end(&state, reason)
                return []
            }
            var actions: [@Sendable () -> Void] = []
            for index in state.calls.indices.reversed() {
                let record = state.calls[index]
                let status: CallStatus
                if let deadline = record.call.deadline, deadline <= now {
                    status = CallStatus(.deadlineExceeded, "the call took longer than its grpc-timeout")
                } else if let challengeDue = record.challengeDue, record.awaited != nil, challengeDue <= now {
                    status = settings.challengeStatus
                } else {
                    continue
                }
                state.http2.finish(status, on: record.call.stream)
                state.removeCall(at: index)
                server.count(record.call.method, status.code)
                if let action = record.action { actions.append(action) }
            }
            if state.http2.isOpen, !state.hasAskedForLife, state.heard.advanced(by: settings.keepalive) <= now {
                state.hasAskedForLife = true
                state.http2.ping(Self.signOfLife)
            }
            flush(&state)
            if !state.isServed, !state.unsent.isEmpty { attend(&state) }
            due.store(server.nanoseconds(nextDue(state)), ordering: .relaxed)
            return actions
        }
    }

    /// The payload of PINGs that prove no more than that somebody is there.
    private static let signOfLife: UInt64 = 0

    private func overdue(_ now: SuspendingClock.Instant, _ state: borrowing State) -> CutReason? {
        let settings = server.settings
        if !state.http2.isOpen, state.opened.advanced(by: settings.openingLimit) <= now { return .tooSlowToOpen }
        if state.heard.advanced(by: settings.silenceLimit) <= now { return .silent }
        if let began = state.http2.unfinishedSince, began.advanced(by: settings.transferLimit) <= now {
            return .requestTooSlow
        }
        if let stalled = state.writeStalled, stalled.advanced(by: settings.transferLimit) <= now {
            return .readerTooSlow
        }
        return nil
    }

    private func nextDue(_ state: borrowing State) -> SuspendingClock.Instant {
        let settings = server.settings
        var next = state.heard.advanced(by: state.hasAskedForLife ? settings.silenceLimit : settings.keepalive)
        if !state.http2.isOpen { next = min(next, state.opened.advanced(by: settings.openingLimit)) }
        if let began = state.http2.unfinishedSince { next = min(next, began.advanced(by: settings.transferLimit)) }
        if let stalled = state.writeStalled { next = min(next, stalled.advanced(by: settings.transferLimit)) }
        for record in state.calls {
            if let deadline = record.call.deadline { next = min(next, deadline) }
            if let challengeDue = record.challengeDue { next = min(next, challengeDue) }
        }
        return next
    }

    /// Tells the peer that the server stops, ends its calls, and the connection once that is written.
    ///
    /// - Returns: What to run for calls that were cut off.
    func drain() -> [@Sendable () -> Void] {
        state.withLock { state in
            guard state.cut == nil else { return [] }
            state.http2.goAway()
            let actions = state.calls.compactMap(\.action)
            for record in state.calls {
                state.http2.finish(server.settings.shutdownStatus, on: record.call.stream)
                server.count(record.call.method, server.settings.shutdownStatus.code)
            }
            state.calls = []
            state.callBytes = 0
            state.isDraining = true
            flush(&state)
            if state.cut == nil { attend(&state) }
            return actions
        }
    }
}
