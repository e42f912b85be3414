internal import GRPCCore
internal import IssuerAPIProtos
internal import IssuerDomain
internal import SwiftProtobuf

/// `mintmark.v1.Limits`: what callers may ask for, and what became of it.
struct LimitsService: Mintmark_V1_Limits.SimpleServiceProtocol {
    let access: AccessControl
    let budgets: CallBudgets

    func get(
        request: Mintmark_V1_GetLimitsRequest, context: ServerContext
    ) async throws -> Mintmark_V1_GetLimitsResponse {
        try access.requireLocal(context)
        let counters = budgets.counters
        return .with {
            $0.budgets = MethodRule.Budget.allCases.map { budget in
                let rate = budgets.limits.rates[budget]
                let counted = counters[budget] ?? .init()
                return .with {
                    $0.name = budget.rawValue
                    $0.perSecond = rate?.perSecond ?? 0
                    $0.burst = rate?.burst ?? 0
                    $0.admitted = counted.admitted
                    $0.refused = counted.refused
                    $0.shared = counted.shared
                    $0.trackedCallers = UInt64(clamping: counted.trackedCallers)
                }
            }
        }
    }
}
