internal import Bootstrap
internal import NodeAgent
internal import Platform
internal import SPIFFE

/// Where an agent's first bundle comes from: a file, a URL, or nowhere.
struct BootstrapBundle: Sendable {
    private enum Source: Sendable {
        case file(String)
        case url(BundleURL)
    }

    private let source: Source?
    private let trustDomain: TrustDomain
    private let files: any FileSystem

    /// Judges what flags and configuration say; flags go first.
    ///
    /// - Throws: ``Failure`` with status `configuration`.
    init(file: String?, url: String?, settings: AgentSettings, files: any FileSystem) throws(Failure) {
        guard settings.trustBundleFile == nil || settings.bundleSource == nil else {
            throw Failure(
                .configuration, "trust_bundle and trust_bundle_url exclude each other", hint: "leave one of them out")
        }
        if let file {
            source = .file(file)
        } else if let url {
            source = .url(try BundleURL(url, authorities: settings.bundleAuthorities))
        } else if let file = settings.trustBundleFile {
            source = .file(file)
        } else {
            source = settings.bundleSource.map { .url($0) }
        }
        (trustDomain, self.files) = (settings.trustDomain, files)
    }

    /// The bundle to start with.
    ///
    /// - Parameter isKnown: Whether the agent keeps one; then a URL is not asked, and need not be there.
    /// - Returns: nil when there is nowhere to get one from, or no need to.
    /// - Throws: ``Failure``.
    func atStart(isKnown: Bool) async throws(Failure) -> TrustBundle? {
        if isKnown, case .url? = source { return nil }
        return try await bundle()
    }

    /// How to come by the bundle again.
    ///
    /// - Parameters:
    ///   - delay: How long the server must be a stranger first; nil for never.
    ///   - isDemanded: Whether the agent is not to run where it cannot be.
    /// - Returns: nil when that is not wanted, or cannot be.
    /// - Throws: ``Failure`` with status `configuration` when it is demanded and there is nowhere to get it from.
    func plan(after delay: Duration?, isDemanded: Bool) throws(Failure) -> RebootstrapPlan? {
        guard let delay else { return nil }
        guard source != nil else {
            guard isDemanded else { return nil }
            throw Failure(
                .configuration, "rebootstrap_mode always needs a trust bundle to go back to",
                hint: "set trust_bundle or trust_bundle_url")
        }
        return RebootstrapPlan(delay: delay, isDemanded: isDemanded) {
            guard let bundle = try await bundle() else { throw Failure(.configuration, "no trust bundle") }
            return bundle
        }
    }

    private func bundle() async throws(Failure) -> TrustBundle? {
        switch source {
        case .file(let path)?: try FirstContact.bundle(path, of: trustDomain, files: files)
        case .url(let url)?: try await url.fetch(of: trustDomain)
        case nil: nil
        }
    }
}
