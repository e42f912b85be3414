internal import ArgumentParser
internal import Bootstrap
internal import Foundation
internal import Logging
internal import Platform
internal import SPIFFE
internal import VerifyServer
internal import WorkloadIdentity

/// `mintmark verify-server`.
struct VerifyServerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify-server",
        abstract: "Tells a proxy on this machine who calls, for services that do not check it themselves.",
        discussion: """
            Made for nginx's auth_request and Envoy's ext_authz over HTTP. The proxy
            sends the headers of a request, by any method, to /verify or any path below.
            The answer is

              200  the caller is proven and allowed; X-SPIFFE-ID, X-SPIFFE-Trust-Domain,
                   X-SPIFFE-Expires-At and X-SPIFFE-Proof (jwt or x509) say who it is
              401  no token, or one that does not hold
              403  proven, but not among those allowed
              503  the agent has given no bundles yet, or took them back

            The token is the JWT-SVID in 'Authorization: Bearer', meant for one of the
            audiences. Have the proxy overwrite what clients send as X-SPIFFE-*. GET
            /healthz answers 200 once requests can be judged. To be given bundles, this
            process needs an entry, as a workload does.

            Only processes of this machine can connect: over loopback, or to a Unix socket
            of mode 0666, which a folder with tighter permissions keeps to the proxy.

            CLIENT CERTIFICATES
            A proxy that ends TLS can pass on the certificate its client presented. With
            --trust-forwarded-certificate the one header named is believed:
            x-ssl-client-cert is for nginx's $ssl_client_escaped_cert,
            x-forwarded-client-cert is what Envoy writes. The chain is verified here; that
            the client has the key is the proxy's word. Certificates are public: a client
            whose own header gets through is whoever it likes. So use the flag only where
            the proxy overwrites or removes that header in every request. When a token
            comes as well, both must hold and name the same caller.

            EXAMPLES
              mintmark verify-server --unix /run/verify/verify.sock \\
                  --audience orders --allow-domain example.org
              mintmark verify-server --listen 127.0.0.1:9191 --audience orders \\
                  --allow spiffe://example.org/web --allow spiffe://example.org/batch
              mintmark verify-server --listen 127.0.0.1:9191 --audience orders \\
                  --allow-any --trust-forwarded-certificate x-ssl-client-cert
              curl -i -H "Authorization: Bearer $TOKEN" http://127.0.0.1:9191/verify
            """)

    @OptionGroup var workload: WorkloadOptions

    @Option(
        help: ArgumentHelp("Where to listen: a loopback address and a port; 0 takes any.", valueName: "address"),
        transform: VerifyServerFlags.loopback)
    var listen: LoopbackAddress?

    @Option(help: ArgumentHelp("The Unix socket to listen on instead.", valueName: "path"))
    var unix: String?

    @Option(help: ArgumentHelp("A name that this side goes by in tokens; repeat for more.", valueName: "name"))
    var audience: [String] = []

    @Option(
        help: ArgumentHelp("An identity that may go on; repeat for more.", valueName: "id"), transform: Judged.spiffeID)
    var allow: [SPIFFEID] = []

    @Option(
        help: ArgumentHelp("A trust domain whose members may go on; repeat for more.", valueName: "td"),
        transform: Judged.trustDomain)
    var allowDomain: [TrustDomain] = []

    @Flag(help: "Lets every identity of every trusted domain go on.")
    var allowAny = false

    @Option(
        help: ArgumentHelp(
            "Believes the certificate in x-ssl-client-cert or x-forwarded-client-cert; see CLIENT CERTIFICATES.",
            valueName: "header"),
        transform: VerifyServerFlags.certificateHeader)
    var trustForwardedCertificate: ForwardedCertificateHeader?

    @Option(help: ArgumentHelp("Written once requests can be judged.", valueName: "path"))
    var readyFile: String?

    @Option(
        help: "The least severe log level written: trace, debug, info, notice, warning, error or critical.",
        transform: Judged.logLevel)
    var logLevel = Logger.Level.info

    func validate() throws {
        guard (listen == nil) != (unix == nil) else {
            throw ValidationError("give either '--listen <address>' or '--unix <path>'")
        }
        guard !audience.isEmpty else {
            throw ValidationError("missing '--audience <name>'; a token for anybody is no proof for this service")
        }
        guard (try? JWTAudience(anyOf: audience)) != nil else { throw ValidationError("'--audience' is empty") }
        let names = !allow.isEmpty || !allowDomain.isEmpty
        guard names || allowAny else {
            throw ValidationError(
                "say who may go on: '--allow <id>', '--allow-domain <td>', or '--allow-any' for whoever is trusted")
        }
        guard !(names && allowAny) else {
            throw ValidationError("'--allow-any' leaves nothing for '--allow' and '--allow-domain' to say")
        }
    }

    func run() async throws {
        let endpoint = try workload.client().endpoint
        let listening = try VerifyServerFlags.listening(on: listen, unix: unix)
        let judge = RequestJudge(
            audience: try JWTAudience(anyOf: audience),
            authorizer: VerifyServerFlags.authorizer(ids: allow, domains: allowDomain, any: allowAny),
            certificateHeader: trustForwardedCertificate)
        let logger = Running.prepare(logLevel: logLevel)
        let ready = ReadyFile(readyFile, files: LocalFileSystem())
        try ready.clear()
        let server = try VerificationServer(
            listening: listening, endpoint: endpoint, judge: judge, clock: SystemWallClock(), logger: logger)
        defer { server.close() }
        logger.info(
            "waiting for bundles",
            metadata: ["workload.endpoint": "\(endpoint)", "allowed": "\(judge.authorizer)"])
        let services = server.services { address in
            logger.info("ready", metadata: ["address": "\(address)"])
            try ready.write(JSONValue.members(["address": .string(address)]).compactText)
        }
        try await Running.run(services, logger: logger)
        try ready.clear()
    }
}

/// What the flags of `verify-server` mean.
enum VerifyServerFlags {
    static func loopback(_ text: String) throws -> LoopbackAddress {
        do throws(LoopbackAddress.Flaw) {
            return try LoopbackAddress(text)
        } catch {
            switch error {
            case .malformed:
                throw ValidationError("'\(text)' is not an address and a port, such as 127.0.0.1:9191 or [::1]:9191")
            case .notLoopback(let host):
                throw ValidationError(
                    "'\(host)' is not a loopback address; verdicts are for proxies of this machine, "
                        + "at 127.0.0.1 or [::1]")
            }
        }
    }

    static func certificateHeader(_ text: String) throws -> ForwardedCertificateHeader {
        guard let header = ForwardedCertificateHeader(rawValue: text.lowercased()) else {
            let known = ForwardedCertificateHeader.allCases.map(\.rawValue).joined(separator: " or ")
            throw ValidationError("'\(text)' is not a header that can be believed; use \(known)")
        }
        return header
    }

    static func listening(on address: LoopbackAddress?, unix: String?) throws -> ListeningEndpoint {
        if let address { return .tcp(host: address.host, port: address.port) }
        // Anyone may ask: an answer tells the asker nothing but what the token it already has is worth.
        return .unix(try UnixSocketPath(WorkloadOptions.absolute(unix ?? "")), mode: 0o666)
    }

    static func authorizer(ids: [SPIFFEID], domains: [TrustDomain], any: Bool) -> PeerAuthorizer {
        if any { return .any }
        if domains.isEmpty, ids.count == 1 { return .id(ids[0]) }
        if domains.isEmpty { return .anyOf(ids) }
        if ids.isEmpty, domains.count == 1 { return .memberOf(domains[0]) }
        let (ids, domains) = (Set(ids), Set(domains))
        return .custom("one of \(ids.count) identities or a member of one of \(domains.count) trust domains") {
            ids.contains($0.id) || domains.contains($0.id.trustDomain)
        }
    }
}
