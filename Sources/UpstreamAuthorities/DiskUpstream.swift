package import Foundation
package import IssuerDomain
package import Platform
package import SPIFFE
internal import X509

/// An upstream whose CA key lies in files, read again for each certificate and whenever they change.
package struct DiskUpstream: UpstreamAuthority {
    /// Where the files are.
    package struct Files: Hashable, Sendable {
        /// PEM: the CA certificate, then what leads from it to a root.
        package var certificates: String
        /// PEM: its private key.
        package var key: String
        /// PEM: the roots; nil when the CA certificate is a root itself.
        package var bundle: String?

        package init(certificates: String, key: String, bundle: String? = nil) {
            (self.certificates, self.key, self.bundle) = (certificates, key, bundle)
        }
    }

    private let trustDomain: TrustDomain
    private let paths: Files
    private let files: any FileSystem
    private let clock: any WallClock
    private let entropy: any Entropy

    private static let maximumLength = 1 << 20

    /// How often the files are looked at.
    package static let pollInterval = Duration.seconds(5)

    /// Creates an upstream; the files are first read when it is asked something.
    ///
    /// - Parameters:
    ///   - trustDomain: Whose authorities it signs.
    ///   - paths: Where its files are.
    ///   - files: How to read them.
    ///   - clock: Paces looking for changes.
    ///   - entropy: For serial numbers.
    package init(
        trustDomain: TrustDomain, paths: Files, files: any FileSystem, clock: any WallClock,
        entropy: any Entropy = SystemEntropy()
    ) {
        (self.trustDomain, self.paths, self.files) = (trustDomain, paths, files)
        (self.clock, self.entropy) = (clock, entropy)
    }

    package func mint(
        request: [UInt8], lifetime: Duration, now: Date
    ) async throws(UpstreamError) -> UpstreamIntermediate {
        let material = try material(now: now)
        var entropy = entropy
        let signed: Certificate
        do throws(IssuanceError) {
            let request = try SigningRequest(der: request)
            let answer = try DownstreamCertificate.sign(
                request, for: trustDomain, under: material.certificate, key: material.key, above: material.above,
                lifetime: lifetime, isDefault: false, end: nil, ceilings: [], now: now, using: &entropy)
            signed = answer.certificate
        } catch { throw .refused(detail: "\(error)") }
        let isRoot = material.roots.contains(material.certificate)
        let chain = [signed] + (isRoot ? [] : [material.certificate] + material.intermediates)
        return UpstreamIntermediate(chain: try Self.bytes(of: chain), roots: try Self.roots(of: material))
    }

    package func publish(_ key: UpstreamJWTKey) async throws(UpstreamError) -> [UpstreamJWTKey] { throw .unsupported }

    package func updates() -> AsyncStream<UpstreamTrust> {
        let last = LastSeen<UpstreamTrust>()
        return AsyncStream {
            while !Task.isCancelled {
                // Files that do not fit together are somebody's work in progress; a mint says what is wrong with them.
                if let material = try? material(now: clock.now), let roots = try? Self.roots(of: material) {
                    let trust = UpstreamTrust(roots: roots)
                    if last.isNews(trust) { return trust }
                }
                do { try await clock.sleep(for: Self.pollInterval) } catch { return nil }
            }
            return nil
        }
    }

    /// Reads the files and judges whether they could sign now.
    ///
    /// - Throws: ``UpstreamError``.
    package func check(now: Date) throws(UpstreamError) { _ = try material(now: now) }

    private func material(now: Date) throws(UpstreamError) -> DiskMaterial {
        try DiskMaterial(
            certificates: try text(paths.certificates), key: try text(paths.key, isSecret: true),
            bundle: try paths.bundle.map { path throws(UpstreamError) in try text(path) }, now: now)
    }

    private func text(_ path: String, isSecret: Bool = false) throws(UpstreamError) -> String {
        let contents: [UInt8]?
        do {
            contents =
                isSecret
                ? try files.readSecret(path, limit: Self.maximumLength, privacy: .handedOver)
                : try files.read(path, limit: Self.maximumLength)
        } catch { throw .unavailable(detail: error.advice) }
        guard let contents else { throw .unavailable(detail: "there is no file \(path)") }
        guard let text = String(validating: contents, as: UTF8.self) else {
            throw .refused(detail: "\(path) is not text")
        }
        return text
    }

    private static func roots(of material: DiskMaterial) throws(UpstreamError) -> [UpstreamRoot] {
        try bytes(of: material.roots).map { UpstreamRoot(certificate: $0) }
    }

    private static func bytes(of certificates: [Certificate]) throws(UpstreamError) -> [[UInt8]] {
        do { return try certificates.map { try $0.derBytes() } } catch {
            throw .refused(detail: "a certificate cannot be written")
        }
    }
}
