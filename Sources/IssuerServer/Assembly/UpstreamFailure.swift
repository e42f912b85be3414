internal import Bootstrap
internal import IssuerDomain

/// Says why what stands above this issuer does not vouch for it, and what to do about it.
enum UpstreamFailure {
    static func describe(_ error: UpstreamError, configuration: IssuerConfiguration) -> Failure {
        switch (configuration.upstream, error) {
        case (.disk(let certificates, let key, let roots), _):
            Failure(
                .refused, "\(error)",
                hint: "see that these can be read and belong together: "
                    + [certificates, key, roots].compactMap { $0 }.joined(separator: ", "))
        case (.issuer(let address, let workload), .unavailable):
            Failure(
                .unreachable, "\(error)",
                hint:
                    "see that the server at \(address) and the agent at \(workload) are up, and can be reached from here"
            )
        case (.issuer(let address, _), .refused):
            Failure(
                .notPermitted, "\(error)",
                hint:
                    "see the log of the server at \(address); if it does not know this server, create an entry there: "
                    + "mintmark entry create --downstream")
        case (.issuer(let address, _), .unsupported), (.issuer(let address, _), .badAnswer):
            Failure(.refused, "\(error)", hint: "see which software runs at \(address), and its log")
        case (nil, _): Failure(.refused, "\(error)", hint: "run again with --log-level debug")
        }
    }
}
