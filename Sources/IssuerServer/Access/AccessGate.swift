internal import Foundation
internal import GRPCCore
internal import GRPCProtobuf
internal import IssuerDomain
internal import LinuxKernel
internal import Logging
internal import Platform
internal import SPIFFE
internal import SwiftProtobuf

/// The one place where calls come in: who may, how often, with whose consent, and what is written down of it.
///
/// A method that is not in the table is refused to everybody, so that nothing is open because somebody forgot it.
struct AccessGate: ServerInterceptor {
    let table: MethodTable
    let resolution: CallerResolution
    let budgets: CallBudgets
    /// Where calls wait for a second person; nil when one person is enough.
    let desk: ApprovalDesk?
    let book: IssuanceBook
    let counters: ServerCounters
    let clock: any WallClock
    let logger: Logger

    init(
        table: MethodTable = .init(), resolution: CallerResolution, budgets: CallBudgets, desk: ApprovalDesk?,
        book: IssuanceBook, counters: ServerCounters, clock: any WallClock, logger: Logger
    ) {
        (self.table, self.resolution, self.budgets, self.desk) = (table, resolution, budgets, desk)
        (self.book, self.counters, self.clock, self.logger) = (book, counters, clock, logger)
    }

    func intercept<Input: Sendable, Output: Sendable>(
        request: StreamingServerRequest<Input>, context: ServerContext,
        next:
            @Sendable (StreamingServerRequest<Input>, ServerContext) async throws -> StreamingServerResponse<Output>
    ) async throws -> StreamingServerResponse<Output> {
        let method = "\(context.descriptor)"
        guard let rule = table[method] else {
            logger.error("a method has no row in the table of methods", metadata: ["rpc.method": "\(method)"])
            throw RPCError(code: .permissionDenied, message: "this call is not open to anybody")
        }
        var entropy = SystemEntropy()
        let requestID = RandomID.draw(using: &entropy)
        let caller: ResolvedCaller
        do {
            caller = try await resolution.admit(rule, context, metadata: request.metadata, requestID: requestID)
        } catch {
            let principal = await refusedPrincipal(of: rule, context, metadata: request.metadata)
            try recordRefusal(error, of: rule, principal, context, requestID: requestID)
            throw error
        }
        var (context, request) = (context, request)
        context.transportSpecific = caller
        let recorder = rule.issues ? recorder(for: rule, caller, context) : nil
        if rule.budget == .attestation {
            do { try charge(1, rule, caller, context) } catch {
                try recorder?.fail(error)
                throw error
            }
        }
        let hasConsent = try await askSecondPerson(&request, of: rule, from: caller)
        request.messages = inspected(request.messages, rule, caller, context, recorder)
        let origin = CallOrigin(principal: caller.principal, requestID: requestID)
        return try await serve(
            request, context, origin, scopes: caller.scopes, hasConsent: hasConsent, recorder, next)
    }

    /// Runs the handler, and whatever it writes later, within what binds and records the call.
    private func serve<Input: Sendable, Output: Sendable>(
        _ request: StreamingServerRequest<Input>, _ context: ServerContext, _ origin: CallOrigin,
        scopes: [RegistrationScope]?, hasConsent: Bool, _ recorder: IssuanceRecorder?,
        _ next:
            @Sendable (StreamingServerRequest<Input>, ServerContext) async throws -> StreamingServerResponse<Output>
    ) async throws -> StreamingServerResponse<Output> {
        @Sendable func within<Value>(_ body: () async throws -> Value) async throws -> Value {
            do {
                return try await CallOrigin.$current.withValue(origin) {
                    try await RegistrationScope.$binding.withValue(scopes) {
                        try await SecondPerson.$hasAgreed.withValue(hasConsent) {
                            try await IssuanceTrail.$current.withValue(recorder?.trail, operation: body)
                        }
                    }
                }
            } catch {
                try recorder?.fail(error)
                throw error
            }
        }
        var response = try await within { try await next(request, context) }
        switch response.accepted {
        case .failure(let error): try recorder?.fail(error)
        case .success(var contents):
            let producer = contents.producer
            contents.producer = { writer in
                try await within {
                    try await producer(recorder.map { RPCWriter(wrapping: RecordingWriter(writer, $0)) } ?? writer)
                }
            }
            response.accepted = .success(contents)
        }
        return response
    }

    /// The same messages, each weighed before the handler sees it.
    private func inspected<Message: Sendable>(
        _ messages: RPCAsyncSequence<Message, any Error>, _ rule: MethodRule, _ caller: ResolvedCaller,
        _ context: ServerContext, _ recorder: IssuanceRecorder?
    ) -> RPCAsyncSequence<Message, any Error> {
        RPCAsyncSequence(
            wrapping: messages.map { message in
                try CallMeter.bound(message)
                recorder?.notice(message)
                if rule.budget != nil {
                    try charge(CallMeter.cost(of: message), rule, caller, context)
                }
                return message
            })
    }

    /// Takes from the caller's own budget; the admin socket and the agent in this process are not limited.
    private func charge(
        _ cost: Int, _ rule: MethodRule, _ caller: ResolvedCaller, _ context: ServerContext
    ) throws {
        guard let budget = rule.budget, caller.caller.isRemote else { return }
        // Whoever holds an SVID has a budget of their own, also at calls that are open to strangers. What a node claims
        // before it has proven anything is nobody's: else anyone could use up the budget of another node.
        var names = [source(of: caller.principal, context)]
        let place = "from:\(PeerAddress(context.remotePeer).prefix)"
        // Many SVIDs on one machine are one node that wants to be let in.
        if budget == .attestation, !names.contains(place) { names.append(place) }
        for name in names {
            do throws(CallBudgets.Exhausted) {
                try budgets.charge(cost, to: budget, of: name, as: caller.callerClass, now: clock.now)
            } catch {
                logger.debug(
                    "call refused by budget",
                    metadata: ["budget": "\(budget.rawValue)", "caller": "\(name)", "rpc.method": "\(rule.method)"])
                throw Self.tooSoon(error)
            }
        }
    }

    /// What a caller is told from others by.
    private func source(of principal: Principal, _ context: ServerContext) -> String {
        switch principal {
        case .stranger: "from:\(PeerAddress(context.remotePeer).prefix)"
        case .account, .spiffeID, .subject: "\(principal)"
        }
    }

    private static func tooSoon(_ exhausted: CallBudgets.Exhausted) -> RPCError {
        let status = GoogleRPCStatus(
            code: .resourceExhausted, message: exhausted.description,
            details: [.retryInfo(delay: exhausted.retryAfter)])
        var metadata = status.rpcErrorMetadata
        metadata.addString("\(exhausted.retryAfter.milliseconds)", forKey: "retry-after-ms")
        return RPCError(code: .resourceExhausted, message: exhausted.description, metadata: metadata)
    }

    /// Lets a call go on that two people want, where it is one of those that need two.
    ///
    /// - Returns: Whether somebody else was asked, and agreed.
    /// - Throws: ``ApprovalRefusal`` for the first of them.
    private func askSecondPerson<Message: Sendable>(
        _ request: inout StreamingServerRequest<Message>, of rule: MethodRule, from caller: ResolvedCaller
    ) async throws -> Bool {
        guard let desk, rule.needsTwo || rule.permission == .register else { return false }
        var messages = request.messages.makeAsyncIterator()
        guard let message = try await messages.next(), let wire = message as? any SwiftProtobuf.Message else {
            throw RPCError(code: .invalidArgument, message: "the request is empty")
        }
        request.messages = RPCAsyncSequence(
            wrapping: AsyncThrowingStream<Message, any Error> { stream in
                stream.yield(message)
                stream.finish()
            })
        guard rule.needsTwo || CallMeter.mayGivePower(message, by: resolution.entries) else { return false }
        let summary = IssuanceFact.cut(
            wire.textFormatString().split(whereSeparator: \.isNewline).joined(separator: " "))
        let other = try await desk.admit(
            rule.method, request: try wire.serializedBytes(), summary: summary,
            from: resolution.policy.person(behind: caller.principal), now: clock.now, using: SystemEntropy())
        logger.notice(
            "two people agree",
            metadata: [
                "rpc.method": "\(rule.method)", "request": "\(summary)", "principal": "\(caller.principal)",
                "approver": "\(other)",
            ])
        return true
    }

    private func recorder(
        for rule: MethodRule, _ caller: ResolvedCaller, _ context: ServerContext
    ) -> IssuanceRecorder {
        let call = IssuanceRecord.Call(
            time: clock.now, requestID: caller.requestID, callerClass: caller.callerClass,
            principal: "\(caller.principal)", address: address(of: caller.caller, context), method: rule.method)
        return IssuanceRecorder(
            call: call, source: source(of: caller.principal, context), book: book, counters: counters)
    }

    private func address(of caller: Caller?, _ context: ServerContext) -> String {
        switch caller {
        case .local(let credentials)?: "pid:\(credentials.pid)"
        case .embedded?: "embedded"
        case .remote?, nil: PeerAddress(context.remotePeer).description
        }
    }

    /// Who was refused, as far as it was proven.
    private func refusedPrincipal(
        of rule: MethodRule, _ context: ServerContext, metadata: Metadata
    ) async -> Principal {
        let caller = context.transportSpecific as? Caller
        let transport = CallerResolution.principal(of: caller, context)
        // A token counts only where a role could have let the call in; elsewhere nobody has looked at it.
        guard rule.issues, rule.permission != nil, caller?.isRemote == true,
            let bearer = try? await resolution.tokens?.bearer(in: metadata, now: clock.now)
        else { return transport }
        return bearer.principal
    }

    /// Writes down that somebody asked for a credential who may not.
    private func recordRefusal(
        _ error: any Error, of rule: MethodRule, _ principal: Principal, _ context: ServerContext, requestID: String
    ) throws {
        logger.debug(
            "call refused",
            metadata: [
                "rpc.method": "\(rule.method)", "principal": "\(principal)", "request.id": "\(requestID)",
                "error": "\(IssuanceRecorder.reason(of: error))",
            ])
        guard rule.issues else { return }
        let call = IssuanceRecord.Call(
            time: clock.now, requestID: requestID, callerClass: .any, principal: "\(principal)",
            address: address(of: context.transportSpecific as? Caller, context), method: rule.method)
        try book.append(
            [IssuanceRecord(call: call, fact: .denied(IssuanceRecorder.reason(of: error)))],
            from: source(of: principal, context), isStranger: true)
    }
}
