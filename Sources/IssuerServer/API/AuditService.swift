internal import Foundation
internal import GRPCCore
internal import IssuerAPIProtos
internal import IssuerDomain
internal import Platform
internal import SwiftProtobuf

/// `mintmark.v1.Audit`.
struct AuditService: Mintmark_V1_Audit.SimpleServiceProtocol {
    let access: AccessControl
    let records: any IssuanceRecords
    let book: IssuanceBook

    func query(
        request: Mintmark_V1_QueryIssuancesRequest, context: ServerContext
    ) async throws -> Mintmark_V1_QueryIssuancesResponse {
        try access.requireLocal(context)
        guard request.pageSize >= 0 else { throw RPCError(code: .invalidArgument, message: "page_size is negative") }
        var query = IssuanceQuery(
            limit: request.pageSize > 0 ? Int(request.pageSize) : IssuanceQuery.maximumPage)
        query.since = try Self.instant(request.sinceMs, "since_ms")
        query.until = try Self.instant(request.untilMs, "until_ms")
        query.spiffeID = request.spiffeID.isEmpty ? nil : request.spiffeID
        query.principal = request.principal.isEmpty ? nil : request.principal
        query.credential = request.credential.isEmpty ? nil : request.credential
        switch request.outcome {
        case .unspecified: break
        case .issued: query.outcome = .issued
        case .denied: query.outcome = .denied
        case .UNRECOGNIZED: throw RPCError(code: .invalidArgument, message: "outcome is unknown")
        }
        if !request.pageToken.isEmpty {
            guard let number = Int64(request.pageToken), number > 0 else {
                throw RPCError(code: .invalidArgument, message: "page_token is not one of this server's")
            }
            query.before = number
        }
        // Whoever asks sees all that was answered before.
        try await book.deliver()
        let found = try await records.issuances(query)
        return .with {
            $0.issuances = found.map { Mintmark_V1_Issuance($0) }
            if found.count == query.limit, let last = found.last { $0.nextPageToken = "\(last.number)" }
        }
    }

    /// 1970 to 9999; nil for 0.
    private static func instant(_ milliseconds: Int64, _ name: String) throws(RPCError) -> Date? {
        guard milliseconds != 0 else { return nil }
        guard (0..<253_402_300_800_000).contains(milliseconds) else {
            throw RPCError(code: .invalidArgument, message: "\(name) is not an instant before the year 10000")
        }
        return Date(unixMilliseconds: milliseconds)
    }
}

extension Mintmark_V1_Issuance {
    init(_ record: IssuanceRecord) {
        self = .with {
            $0.number = record.number
            $0.timeMs = record.call.time.unixMilliseconds
            $0.requestID = record.call.requestID
            $0.callerClass = record.call.callerClass.rawValue
            $0.principal = record.call.principal
            $0.address = record.call.address
            $0.method = record.call.method
            $0.outcome = record.fact.outcome == .issued ? .issued : .denied
            $0.entryID = record.fact.entryID ?? ""
            $0.entryRevision = record.fact.entryRevision ?? 0
            $0.spiffeID = record.fact.spiffeID.map { "\($0)" } ?? ""
            $0.serial = record.fact.serial ?? ""
            $0.jti = record.fact.tokenID ?? ""
            $0.audience = record.fact.audience
            $0.expiresAt = record.fact.expiresAt?.unixSeconds ?? 0
            $0.limitedBy = record.fact.limit?.rawValue ?? ""
            $0.reason = record.fact.reason ?? ""
            $0.asked = record.fact.asked ?? ""
            $0.askedSeconds = record.fact.lifetime?.asked ?? 0
            $0.grantedSeconds = record.fact.lifetime?.granted ?? 0
            guard let repetition = record.fact.repetition else { return }
            $0.repeats = repetition.count
            $0.firstMs = repetition.first.unixMilliseconds
        }
    }
}
