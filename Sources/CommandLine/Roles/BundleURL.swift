internal import Bootstrap
internal import Foundation
internal import OutboundHTTP
internal import Platform
internal import SPIFFE
internal import X509

/// Where an agent fetches the bundle by which it knows its server at first.
struct BundleURL: Sendable {
    private static let maximumBundle = 4 << 20

    private let url: String
    private let trust: HTTPFetch.Trust

    /// Judges a URL.
    ///
    /// - Parameters:
    ///   - url: The URL; `https`, because what comes from it decides whom to believe.
    ///   - authorities: Who may vouch for it; nil for those that this machine trusts.
    /// - Throws: ``Failure`` with status `configuration`.
    init(_ url: String, authorities: [Certificate]? = nil) throws(Failure) {
        guard url.lowercased().hasPrefix("https://") else {
            throw Failure(
                .configuration, "the URL of the trust bundle does not begin with https://",
                hint: "whoever can change the bundle on its way can pose as the server; use --trust-bundle FILE instead"
            )
        }
        (self.url, trust) = (url, authorities.map { .authorities($0) } ?? .web)
    }

    /// The authorities that a configuration names for such URLs; nil when it names none.
    ///
    /// - Throws: ``Failure`` with status `configuration`.
    static func authorities(
        in file: ConfigurationFile, files: any FileSystem
    ) throws(Failure) -> [Certificate]? {
        guard let path = try file.text("trust_bundle_url_authorities") else { return nil }
        let contents: [UInt8]?
        do throws(FileSystemError) { contents = try files.read(path, limit: maximumBundle) } catch {
            throw Failure(.configuration, "\(error)", hint: "name a file that can be read")
        }
        guard let contents else { throw Failure(.configuration, "no file at \(path)", hint: "name an existing file") }
        do throws(SPIFFEError) {
            // Of no trust domain: they are another PKI's.
            return try TrustBundle(
                pem: String(decoding: contents, as: UTF8.self), trustDomain: TrustDomain("web.invalid")
            ).x509.authorities
        } catch {
            throw Failure(
                .configuration, "\(path) holds no authorities: \(error.message)",
                hint: "name a PEM file of CA certificates")
        }
    }

    /// Fetches the bundle.
    ///
    /// - Throws: ``Failure``.
    func fetch(of trustDomain: TrustDomain, fetcher: any HTTPFetcher = AsyncHTTPFetcher()) async throws(Failure)
        -> TrustBundle
    {
        let hint = "see that the URL can be reached from here, or use --trust-bundle FILE"
        let fetched: HTTPFetched
        do throws(HTTPFetchError) {
            fetched = try await fetcher.fetch(HTTPFetch(url: url, trust: trust, maximumBody: Self.maximumBundle))
        } catch { throw Failure(.unreachable, "the trust bundle cannot be fetched: \(error)", hint: hint) }
        guard fetched.status == 200 else {
            throw Failure(.unreachable, "the trust bundle cannot be fetched: status \(fetched.status)", hint: hint)
        }
        return try FirstContact.bundle(fetched.body, from: "what the URL holds", of: trustDomain)
    }
}
