import Crypto
import Foundation
import IssuerDomain
import IssuerServer
import OutboundHTTP
import Platform
import SPIFFE
import Synchronization
import TestSupport
import Testing

@Suite("Keys of those who issue tokens")
struct TokenKeyCacheTests {
    /// Answers with a key as long as it is up.
    private final class Provider: HTTPFetcher {
        let isUp = Mutex(true)
        private let document: [UInt8]

        init() throws {
            let point = P256.Signing.PrivateKey().publicKey.rawRepresentation
            let (x, y) = (Base64URL.encode(point.prefix(32)), Base64URL.encode(point.suffix(32)))
            document = Array(
                #"{"keys":[{"kty":"EC","crv":"P-256","kid":"k1","use":"sig","x":"\#(x)","y":"\#(y)"}]}"#.utf8)
        }

        func fetch(_ request: HTTPFetch) async throws(HTTPFetchError) -> HTTPFetched {
            guard isUp.withLock({ $0 }) else { throw .unreachable("down") }
            return HTTPFetched(status: 200, body: document)
        }
    }

    @Test("Keys that cannot be fetched again are believed for a day, and no longer; new ones are good at once")
    func age() async throws {
        let provider = try Provider()
        let cache = TokenKeyCache(
            .url("https://id.example.org/keys"), files: LocalFileSystem(), fetcher: provider)
        let start = Date(timeIntervalSince1970: 1_800_000_000)
        #expect(try await cache.keys(now: start).count == 1)
        provider.isUp.withLock { $0 = false }
        for age in [299.0, 301, 3600, 86_399] {
            #expect(try await cache.keys(now: start + age).count == 1, "after \(age) s")
        }
        for age in [86_400.0, 86_401, 1_000_000] {
            await #expect(throws: IdentityToken.Refusal.self, "after \(age) s") {
                _ = try await cache.keys(now: start + age)
            }
        }
        provider.isUp.withLock { $0 = true }
        #expect(try await cache.keys(now: start + 1_000_100).count == 1)
    }
}
