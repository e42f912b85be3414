#if Hummingbird
    // An HTTP service that knows its callers by their SPIFFE IDs: GET /whoami tells them.

    import Foundation
    import Hummingbird
    import HummingbirdCore
    import SPIFFE
    import WorkloadIdentity
    import WorkloadIdentityHummingbird

    struct Options {
        static let usage = """
            usage: example-http-service --listen HOST:PORT (--allow ID... | --allow-domain NAME) [--audience NAME]

            With an audience, callers may show a JWT-SVID for it instead of a certificate.

            example: SPIFFE_ENDPOINT_SOCKET=unix:///run/mintmark/workload.sock \\
                example-http-service --listen 127.0.0.1:8443 --allow-domain prod.example
            """

        var host = ""
        var port = 0
        var allowed: [SPIFFEID] = []
        var allowedDomain: TrustDomain?
        var audience: String?

        init(_ arguments: [String]) throws {
            var rest = arguments[...]
            while let flag = rest.popFirst() {
                switch (flag, rest.popFirst()) {
                case ("--listen", let address?):
                    guard let colon = address.lastIndex(of: ":"), let port = UInt16(address[colon...].dropFirst())
                    else {
                        complain(Self.usage, status: 64)
                    }
                    (host, self.port) = (String(address[..<colon]), Int(port))
                case ("--allow", let id?): allowed.append(try SPIFFEID(id))
                case ("--allow-domain", let name?): allowedDomain = try TrustDomain(name)
                case ("--audience", let name?): audience = name
                case ("--help", _), ("-h", _):
                    print(Self.usage)
                    exit(0)
                default: complain(Self.usage, status: 64)
                }
            }
            if host.isEmpty || allowed.isEmpty == (allowedDomain == nil) { complain(Self.usage, status: 64) }
        }

        var authorizer: PeerAuthorizer {
            if let allowedDomain { return .memberOf(allowedDomain) }
            return .anyOf(allowed)
        }
    }

    func complain(_ text: String, status: Int32) -> Never {
        try? FileHandle.standardError.write(contentsOf: Data((text + "\n").utf8))
        exit(status)
    }

    do {
        let options = try Options(Array(CommandLine.arguments.dropFirst()))
        let source = try await X509Source.start()
        var tokens: JWTSource?
        var proof = CallerProof.certificate
        if let audience = options.audience {
            let source = try await JWTSource.start()
            tokens = source
            proof = .tokenOrCertificate(for: try JWTAudience(audience), source: source)
        }

        let router = Router()
        router.add(middleware: PeerIdentityMiddleware(proof, authorizing: options.authorizer))
        router.get("whoami") { _, _ in
            let caller = try PeerIdentity.required()
            switch caller.proof {
            case .x509: return "\(caller.id) by certificate\n"
            case .jwt: return "\(caller.id) by token\n"
            }
        }
        let app = Application(
            router: router,
            server: .spiffe(
                source: source, authorizing: options.authorizer,
                clientCertificate: options.audience == nil ? .required : .optional),
            configuration: .init(address: .hostname(options.host, port: options.port)))
        try await app.runService()
        await tokens?.close()
        await source.close()
    } catch {
        complain("error: \(error)", status: 1)
    }
#endif
