internal import Foundation
internal import GRPCCore
internal import IssuerAPIProtos
internal import IssuerDomain
internal import Logging
internal import Platform
internal import SPIFFE
internal import SwiftProtobuf

/// `mintmark.v1.DigestSets`.
struct DigestSetService: Mintmark_V1_DigestSets.SimpleServiceProtocol {
    private static let defaultKeeps: UInt32 = 1
    private static let defaultGrace: Int64 = 7 * 24 * 3600
    /// Bytes that a page holds, about; far below the four megabytes that gRPC clients take by default.
    private static let messageBytes = 1 << 20

    let access: AccessControl
    let entries: EntryRegistrar
    let clock: any WallClock
    let logger: Logger

    func create(
        request: Mintmark_V1_CreateDigestSetRequest, context: ServerContext
    ) async throws -> Mintmark_V1_DigestSet {
        try access.requireLocal(context)
        let set = try await entries.createDigestSet(
            name: request.name, keeps: Int(request.hasKeeps ? request.keeps : Self.defaultKeeps),
            grace: .seconds(request.hasGraceSeconds ? request.graceSeconds : Self.defaultGrace),
            digests: request.sha256, now: clock.now
        ).get()
        return shown("digest set created", set)
    }

    func addVersion(
        request: Mintmark_V1_AddDigestSetVersionRequest, context: ServerContext
    ) async throws -> Mintmark_V1_DigestSet {
        try access.requireLocal(context)
        let set = try await entries.addVersion(
            to: request.name, digests: request.sha256, dropsOthers: request.dropOthers, now: clock.now
        ).get()
        return shown("digest set has a new version", set)
    }

    func get(request: Mintmark_V1_GetDigestSetRequest, context: ServerContext) async throws -> Mintmark_V1_DigestSet {
        try access.requireLocal(context)
        let found = entries.read { index in
            index.digestSets[request.name].map { ($0, index.entries(using: request.name).count) }
        }
        guard let (set, users) = found else { throw EntryError.digestSetMissing(name: request.name) }
        return Mintmark_V1_DigestSet(set, users: users)
    }

    func list(
        request: Mintmark_V1_ListDigestSetsRequest, context: ServerContext
    ) async throws -> Mintmark_V1_ListDigestSetsResponse {
        try access.requireLocal(context)
        guard request.pageSize >= 0 else { throw RPCError(code: .invalidArgument, message: "page_size is negative") }
        let (size, after) = (request.pageSize == 0 ? Int.max : Int(request.pageSize), request.pageToken)
        if !after.isEmpty, (try? DigestSet.check(name: after)) == nil {
            throw RPCError(code: .invalidArgument, message: "page_token is not one of this server's")
        }
        let index = entries.read { $0 }
        let rest = index.digestSets.values.filter { $0.name > after }.sorted { $0.name < $1.name }
        return .with {
            var bytes = 0
            for set in rest {
                guard $0.digestSets.count < size, $0.digestSets.isEmpty || bytes < Self.messageBytes else {
                    $0.nextPageToken = $0.digestSets.last?.name ?? ""
                    return
                }
                $0.digestSets.append(Mintmark_V1_DigestSet(set, users: index.entries(using: set.name).count))
                // 64 digits and what is around them.
                bytes += set.versions.reduce(100) { $0 + 40 + 68 * $1.digests.count }
            }
        }
    }

    func delete(
        request: Mintmark_V1_DeleteDigestSetRequest, context: ServerContext
    ) async throws -> Mintmark_V1_DeleteDigestSetResponse {
        try access.requireLocal(context)
        _ = try await entries.deleteDigestSet(request.name).get()
        logger.info("digest set deleted", metadata: ["digest_set.name": "\(request.name)"])
        return .init()
    }

    private func shown(_ event: Logger.Message, _ set: DigestSet) -> Mintmark_V1_DigestSet {
        let users = entries.read { $0.entries(using: set.name).count }
        logger.info(
            event,
            metadata: [
                "digest_set.name": "\(set.name)", "digest_set.version": "\(set.versions.last?.number ?? 0)",
                "entries": "\(users)",
            ])
        return Mintmark_V1_DigestSet(set, users: users)
    }
}

extension Mintmark_V1_DigestSet {
    init(_ set: DigestSet, users: Int) {
        self.init()
        name = set.name
        keeps = UInt32(clamping: set.keeps)
        graceSeconds = set.grace.wholeSeconds
        entries = UInt32(clamping: users)
        versions = set.versions.enumerated().map { index, version in
            let next = set.versions.dropFirst(index + 1).first
            return .with {
                $0.number = version.number
                $0.sha256 = version.digests
                $0.createdAt = version.createdAt.unixSeconds
                $0.until = next.map { ($0.createdAt + set.grace.timeInterval).unixSeconds } ?? 0
            }
        }
    }
}
