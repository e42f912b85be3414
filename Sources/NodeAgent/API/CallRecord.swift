internal import AgentDomain
internal import GRPCWire
internal import Synchronization
internal import WorkloadAttestation
internal import WorkloadSocket

/// What is remembered of one call between its rounds.
final class CallRecord: Sendable {
    let question: Question

    /// What the present round goes by.
    enum Round: Sendable {
        /// Nothing that needs evidence.
        case open
        case evidence(Evidence)
        /// Something is being done elsewhere; another round follows.
        case waiting
        case refused(CallStatus)
    }

    struct State: Sendable {
        var round = Round.open
        var fresh = FreshDigests()
        /// How often files were hashed for it.
        var hashings = 0
        /// The view for which the issuer was asked on demand, and what came of it.
        var askedIssuerFor: UInt64?
        var issuerFailure: CallStatus?
        var hasWaitedForMeasurement = false
        var tokens: [String: HeldJWTSVID] = [:]
        /// What was sent last, and what it was sent for.
        var lastMessage: [UInt8]?
        var lastAttestation: Attestation?
        /// Whether something is being done for it elsewhere, after which it resumes.
        var isBusy = false
    }

    private let state = Mutex(State())
    private let work = CallWork()

    init(_ question: Question) { self.question = question }

    /// Does something elsewhere, after which the call has another round; rounds until then wait for it.
    ///
    /// It is cancelled when the call is cut off.
    func doElsewhere(for call: WorkloadCall, _ work: @escaping @Sendable () async -> Void) {
        withState { $0.isBusy = true }
        self.work.start(for: call) { [self] in
            await work()
            withState { $0.isBusy = false }
            call.resume()
        }
    }

    func withState<Value>(_ body: (inout State) -> sending Value) -> sending Value { state.withLock { body(&$0) } }
}

/// A call, read.
enum Question: Sendable {
    case workload(WorkloadRequest)
    case health(HealthQuestion)
    case attestation(AttestationMethod)
    case refused(CallStatus)
}

/// The calls of `grpc.health.v1.Health`.
enum HealthQuestion: Sendable {
    case check(service: String)
    case watch(service: String)
}
