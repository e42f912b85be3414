package import GRPCWire

/// Every call that the agent's own server answers, in the order of its method table.
package enum ServedMethod: Sendable {
    case workload(WorkloadMethod)
    case attestation(AttestationMethod)
    case healthCheck
    case healthWatch

    package static let all: [ServedMethod] =
        WorkloadMethod.allCases.map { .workload($0) } + AttestationMethod.allCases.map { .attestation($0) }
        + [.healthCheck, .healthWatch]

    /// The field that a confused proxy would not send (WLEP-09).
    package static let securityHeader = "workload.spiffe.io"

    package static let table = MethodTable(
        all.map { MethodTable.Method($0.path, isStreaming: $0.isStreaming) }, metadata: [securityHeader])

    /// The path of a method of the table.
    package static func name(_ index: Int) -> String { all.indices.contains(index) ? all[index].path : "" }

    private var path: String {
        switch self {
        case .workload(let method): method.path
        case .attestation(let method): method.path
        case .healthCheck: "/grpc.health.v1.Health/Check"
        case .healthWatch: "/grpc.health.v1.Health/Watch"
        }
    }

    private var isStreaming: Bool {
        switch self {
        case .workload(let method): method.isStreaming
        case .healthWatch: true
        case .attestation, .healthCheck: false
        }
    }

    /// Whether a call must carry the security header; health is asked by what knows nothing of SPIFFE.
    package var needsSecurityHeader: Bool {
        switch self {
        case .workload, .attestation: true
        case .healthCheck, .healthWatch: false
        }
    }
}
