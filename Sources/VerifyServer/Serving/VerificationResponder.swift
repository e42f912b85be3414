package import HTTPTypes
internal import HummingbirdCore
package import Logging
internal import NIOCore
package import Platform
internal import WorkloadIdentity

/// Answers requests: reads the route, has the judge decide, and logs what the answer leaves out.
package struct VerificationResponder: Sendable {
    private let judge: RequestJudge
    private let clock: any WallClock
    private let logger: Logger
    private let bundles: @Sendable () -> HeldBundles

    /// Creates a responder.
    ///
    /// - Parameters:
    ///   - judge: The decision.
    ///   - clock: The time.
    ///   - logger: For refusals and their reasons; no token is written.
    ///   - bundles: What is held now; asked for each request.
    package init(
        judge: RequestJudge, clock: any WallClock, logger: Logger, bundles: @escaping @Sendable () -> HeldBundles
    ) {
        (self.judge, self.clock, self.logger, self.bundles) = (judge, clock, logger, bundles)
    }

    /// Writes the answer; a body that comes with the request is not looked at.
    func respond(to request: HTTPRequest, on writer: consuming ResponseWriter) async throws {
        let answer = answer(to: request)
        if request.method == .head {
            try await writer.writeResponse(answer.head)
        } else {
            try await writer.write(
                response: answer.head, body: ResponseBody(byteBuffer: ByteBuffer(string: answer.body)))
        }
    }

    /// Decides what to answer.
    ///
    /// - Parameter request: The request; any method asks the same.
    /// - Returns: The answer.
    package func answer(to request: HTTPRequest) -> VerdictAnswer {
        switch RequestRoute(path: request.path) {
        case .unknown: return .notFound
        case .health: return VerdictAnswer(isHealthy: bundles().isComplete)
        case .verify:
            let verdict = judge.verdict(on: request.headerFields, holding: bundles(), at: clock.now)
            log(verdict)
            return VerdictAnswer(verdict)
        }
    }

    /// Neither tokens nor paths: a path of the original request may hold secrets of its own.
    private func log(_ verdict: RequestVerdict) {
        switch verdict {
        case .allowed(let caller):
            logger.debug("request allowed", metadata: ["spiffe.id": "\(caller.id)", "proof": "\(caller.proofKind)"])
        case .refused(let refusal):
            // Who shows nothing is told to; who shows something wrong is worth a look.
            let level: Logger.Level = refusal.code == .noIdentity ? .debug : .info
            logger.log(
                level: level, "request refused", metadata: ["code": "\(refusal.code)", "error": "\(refusal)"])
        }
    }
}
