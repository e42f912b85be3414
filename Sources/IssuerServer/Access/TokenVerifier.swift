package import Foundation
internal import GRPCCore
package import IssuerDomain
package import OutboundHTTP
package import Platform
package import SPIFFE
internal import WorkloadIdentity

/// Verifies the bearer tokens of admins by the keys of those who issue them.
struct TokenVerifier: BearerTokenJudge {
    private let issuers: [(issuer: TokenIssuer, keys: TokenKeyCache)]

    /// Creates a verifier.
    ///
    /// - Parameters:
    ///   - issuers: Whose tokens are believed.
    ///   - files: Where keys lie that are in files.
    ///   - fetcher: Fetches keys that are behind URLs.
    init(_ issuers: [TokenIssuer], files: any FileSystem, fetcher: any HTTPFetcher) {
        self.issuers = issuers.map { ($0, TokenKeyCache($0.keys, files: files, fetcher: fetcher)) }
    }

    func bearer(in metadata: Metadata, now: Date) async throws(RPCError) -> Bearer? {
        let token: String?
        do throws(PeerRefusal) {
            token = try BearerToken.read(from: metadata[stringValues: BearerToken.header])
        } catch { throw Self.refusal("\(error)") }
        guard let token else { return nil }
        let claimed = IdentityToken.claimedIssuer(of: token)
        guard let (issuer, keys) = issuers.first(where: { $0.issuer.issuer == claimed }) else {
            throw Self.refusal("token is from no issuer that this server believes")
        }
        do throws(IdentityToken.Refusal) {
            let verified = try await verify(token, issuer, keys, now: now)
            return Bearer(
                principal: .subject(issuer: issuer.name, name: verified.subject), claims: verified.claims)
        } catch { throw Self.refusal(error.message) }
    }

    /// A key that is not known may be a new one.
    private func verify(
        _ token: String, _ issuer: TokenIssuer, _ cache: TokenKeyCache, now: Date
    ) async throws(IdentityToken.Refusal) -> IdentityToken {
        do throws(IdentityToken.Refusal) {
            return try IdentityToken(verifying: token, from: issuer, keys: try await cache.keys(now: now), now: now)
        } catch {
            guard error.mayHaveNewKeys, let fresh = try await cache.fresherKeys(now: now) else { throw error }
            return try IdentityToken(verifying: token, from: issuer, keys: fresh, now: now)
        }
    }

    private static func refusal(_ message: String) -> RPCError { RPCError(code: .unauthenticated, message: message) }
}

/// The keys of one issuer, read again when they are old or one is missing.
package actor TokenKeyCache {
    private static let lifetime: TimeInterval = 300
    /// How long keys are believed that cannot be read again: their issuer may have withdrawn them meanwhile.
    private static let longestLifetime: TimeInterval = 24 * 3600
    /// A flood of tokens with made-up key IDs makes no flood of requests.
    private static let shortestPause: TimeInterval = 10
    private static let maximumDocument = 1 << 20

    private let source: TokenIssuer.Keys
    private let files: any FileSystem
    private let fetcher: any HTTPFetcher
    private var held: [String: JWTVerificationKey]?
    private let reading = Turnstile()
    private var triedAt: Date?
    private var readAt: Date?

    package init(_ source: TokenIssuer.Keys, files: any FileSystem, fetcher: any HTTPFetcher) {
        (self.source, self.files, self.fetcher) = (source, files, fetcher)
    }

    /// The keys; old ones for a day when new ones cannot be had.
    package func keys(now: Date) async throws(IdentityToken.Refusal) -> [String: JWTVerificationKey] {
        if let fresh = fresh(now: now) { return fresh }
        // Of many who come at once, one reads and the others wait for it.
        return try await reading.pass { () async throws(IdentityToken.Refusal) in try await self.renewed(now: now) }
    }

    private func fresh(now: Date) -> [String: JWTVerificationKey]? {
        guard let held, let readAt, abs(now.timeIntervalSince(readAt)) < Self.lifetime else { return nil }
        return held
    }

    private func renewed(now: Date) async throws(IdentityToken.Refusal) -> [String: JWTVerificationKey] {
        if let fresh = fresh(now: now) { return fresh }
        do throws(IdentityToken.Refusal) {
            if let fresh = try await fresherKeys(now: now) { return fresh }
        } catch {
            guard let held = believed(now: now) else { throw error }
            return held
        }
        guard let held = believed(now: now) else { throw IdentityToken.Refusal("the issuer's keys cannot be read") }
        return held
    }

    private func believed(now: Date) -> [String: JWTVerificationKey]? {
        guard let readAt, abs(now.timeIntervalSince(readAt)) < Self.longestLifetime else { return nil }
        return held
    }

    /// Reads the keys again; nil when that was tried a moment ago.
    func fresherKeys(now: Date) async throws(IdentityToken.Refusal) -> [String: JWTVerificationKey]? {
        if let triedAt, abs(now.timeIntervalSince(triedAt)) < Self.shortestPause { return nil }
        triedAt = now
        let keys = try TokenKeys.parse(try await document())
        (held, readAt) = (keys, now)
        return keys
    }

    private func document() async throws(IdentityToken.Refusal) -> [UInt8] {
        switch source {
        case .file(let path):
            guard let bytes = try? files.read(path, limit: Self.maximumDocument) else {
                throw IdentityToken.Refusal("the issuer's keys cannot be read")
            }
            return bytes
        case .url(let url):
            do throws(HTTPFetchError) {
                let answer = try await fetcher.fetch(HTTPFetch(url: url, maximumBody: Self.maximumDocument))
                guard answer.status == 200 else { throw .unreachable("status \(answer.status)") }
                return answer.body
            } catch { throw IdentityToken.Refusal("the issuer's keys cannot be fetched: \(error)") }
        }
    }
}
