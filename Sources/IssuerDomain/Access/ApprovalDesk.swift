internal import Crypto
package import Foundation
package import Platform

/// Why a call of which two people must agree did not go ahead, or an answer to it was not taken.
package enum ApprovalRefusal: Error, Hashable {
    /// The call is written down and waits for somebody else.
    case waiting(PendingApproval)
    case missing(id: String)
    /// Whoever asked cannot agree with themselves.
    case ownRequest
    /// Too many wait already.
    case tooMany(limit: Int)
    case store(StoreError)
}

extension ApprovalRefusal: CustomStringConvertible {
    package var description: String {
        switch self {
        case .waiting(let approval):
            """
            a second person must agree: request \(approval.id) by \(approval.requester) waits until \
            \(approval.expiresAt.formatted(.iso8601))
            """
        case .missing(let id): "no request for approval has ID '\(id.prefix(255))'"
        case .ownRequest: "whoever made a request cannot approve it"
        case .tooMany(let limit): "\(limit) requests wait for approval already"
        case .store(let error): "\(error)"
        }
    }
}

/// Where calls wait for a second person.
package struct ApprovalDesk: Sendable {
    private static let maximumWaiting = 100

    private let store: any ApprovalStore
    private let lifetime: Duration
    private let writing = Turnstile()

    /// Creates a desk.
    ///
    /// - Parameters:
    ///   - store: Where requests are kept.
    ///   - lifetime: How long one waits.
    package init(store: any ApprovalStore, lifetime: Duration) { (self.store, self.lifetime) = (store, lifetime) }

    /// Lets a call through that two people want.
    ///
    /// The second of two who make the same call agrees by it; or somebody else has agreed, and whoever asked makes the call
    /// again. Either way the agreement is used up.
    ///
    /// - Parameters:
    ///   - method: The full name.
    ///   - request: What is asked, in one way of writing it.
    ///   - summary: The same for people.
    ///   - caller: Who asks.
    ///   - now: The time.
    ///   - entropy: For the ID.
    /// - Returns: The other person.
    /// - Throws: ``ApprovalRefusal``.
    package func admit(
        _ method: String, request: [UInt8], summary: String, from caller: Principal, now: Date,
        using entropy: some Entropy
    ) async throws(ApprovalRefusal) -> Principal.Name {
        try await writing.pass { () async throws(ApprovalRefusal) in
            let digest = Array(SHA256.hash(data: request))
            let waiting = try await self.waiting(now: now)
            let same = waiting.first { $0.method == method && $0.requestDigest == digest }
            guard let same else {
                throw .waiting(
                    try await self.file(
                        method, digest: digest, summary: summary, from: caller, beside: waiting.count, now: now,
                        using: entropy))
            }
            let name = "\(caller)"
            let other = same.requester == name ? same.approver : same.requester
            guard let other, other != name else { throw .waiting(same) }
            do throws(StoreError) {
                guard try await self.store.takeApproval(same.id) else { throw .failed(detail: "request is gone") }
            } catch { throw .store(error) }
            return other
        }
    }

    /// Those that wait, oldest first.
    ///
    /// - Throws: ``ApprovalRefusal``.
    package func waiting(now: Date) async throws(ApprovalRefusal) -> [PendingApproval] {
        do {
            return try await store.approvals(now: now).sorted { ($0.requestedAt, $0.id) < ($1.requestedAt, $1.id) }
        } catch { throw .store(error) }
    }

    /// Agrees to a request; whoever made it can then make the call again.
    ///
    /// - Throws: ``ApprovalRefusal``.
    package func approve(
        _ id: String, by caller: Principal, now: Date
    ) async throws(ApprovalRefusal) -> PendingApproval {
        try await writing.pass { () async throws(ApprovalRefusal) in
            guard var approval = try await self.waiting(now: now).first(where: { $0.id == id }) else {
                throw .missing(id: id)
            }
            guard approval.requester != "\(caller)" else { throw .ownRequest }
            approval.approver = "\(caller)"
            do throws(StoreError) { try await self.store.put(approval) } catch { throw .store(error) }
            return approval
        }
    }

    /// Turns a request down, or takes it back.
    ///
    /// - Throws: ``ApprovalRefusal``.
    package func deny(_ id: String, now: Date) async throws(ApprovalRefusal) {
        try await writing.pass { () async throws(ApprovalRefusal) in
            let isThere: Bool
            do throws(StoreError) { isThere = try await self.store.takeApproval(id) } catch { throw .store(error) }
            guard isThere else { throw .missing(id: id) }
        }
    }

    /// Forgets what nobody agreed to in time.
    ///
    /// - Throws: ``StoreError``.
    package func tend(now: Date) async throws(StoreError) { try await store.dropApprovals(endedBefore: now) }

    private func file(
        _ method: String, digest: [UInt8], summary: String, from caller: Principal, beside waiting: Int, now: Date,
        using entropy: some Entropy
    ) async throws(ApprovalRefusal) -> PendingApproval {
        guard waiting < Self.maximumWaiting else { throw .tooMany(limit: Self.maximumWaiting) }
        var entropy = entropy
        let start = Date(timeIntervalSince1970: now.timeIntervalSince1970.rounded(.down))
        let approval = PendingApproval(
            id: RandomID.draw(using: &entropy), method: method, requestDigest: digest, summary: summary,
            requester: "\(caller)", requestedAt: start, expiresAt: start + lifetime.timeInterval)
        do { try await store.put(approval) } catch { throw .store(error) }
        return approval
    }
}
