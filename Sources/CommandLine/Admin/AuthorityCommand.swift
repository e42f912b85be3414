internal import ArgumentParser
internal import Bootstrap
internal import GRPCCore
internal import GRPCNIOTransportHTTP2Posix
internal import IssuerAPIProtos
internal import SwiftProtobuf

/// `mintmark authority`.
struct AuthorityCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "authority", abstract: "Shows and changes what the server signs with.",
        discussion: """
            Authorities replace each other in time by themselves. By hand, when a key may have leaked: prepare a new one,
            activate it, taint the old one, wait until nothing that it signed is in use, and revoke it.

            EXAMPLES
              mintmark authority prepare x509
              mintmark authority activate x509 5d3f…
              mintmark authority taint x509 0b7c…
              mintmark authority revoke x509 0b7c…
            """,
        subcommands: [Show.self, Prepare.self, Activate.self, Taint.self, Revoke.self])

    /// `mintmark authority show`.
    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Shows the active authority, the prepared one, and the one before.",
            discussion: "EXAMPLE\n  mintmark authority show jwt --output json")

        @OptionGroup var admin: AdminOptions
        @OptionGroup var output: OutputOptions
        @Argument(help: "x509 or jwt.") var kind: AuthorityKind

        func run() async throws {
            let kind = kind
            let standing = try await admin.withServer { client in
                try await AuthorityFailure.explained { try await AuthorityCalls.standing(kind, client) }
            }
            output.show(standing.rendering)
        }
    }

    /// `mintmark authority prepare`.
    struct Prepare: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Makes the next authority and publishes it; it signs nothing yet.",
            discussion: """
                Wait until every verifier has the new bundle before it is activated. One that was prepared before and never
                signed gives way to it.

                EXAMPLE
                  mintmark authority prepare x509
                """)

        @OptionGroup var admin: AdminOptions
        @OptionGroup var output: OutputOptions
        @Argument(help: "x509 or jwt.") var kind: AuthorityKind

        func run() async throws {
            let kind = kind
            let state = try await admin.withServer { client in
                try await AuthorityFailure.explained { try await AuthorityCalls.prepare(kind, client) }
            }
            output.show(AuthorityRendering.one(kind, state, as: "prepared"))
        }
    }

    /// `mintmark authority activate`.
    struct Activate: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Lets the prepared authority sign from now on.",
            discussion: "EXAMPLE\n  mintmark authority activate jwt kfe1ihCZGlxeuMKKZAvNwA")

        @OptionGroup var admin: AdminOptions
        @OptionGroup var output: OutputOptions
        @Argument(help: "x509 or jwt.") var kind: AuthorityKind
        @Argument(help: "The authority's ID, as 'mintmark authority show' prints it.") var id: String

        func run() async throws {
            let (kind, id) = (kind, id)
            let state = try await admin.withServer { client in
                try await AuthorityFailure.explained { try await AuthorityCalls.activate(kind, id, client) }
            }
            output.show(AuthorityRendering.one(kind, state, as: "active"))
        }
    }

    /// `mintmark authority taint`.
    struct Taint: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Has everything replaced that an old authority signed.",
            discussion: """
                The authority stays trusted until it is revoked. Agents replace what it signed within seconds, without a
                rush.

                EXAMPLES
                  mintmark authority taint jwt kfe1ihCZGlxeuMKKZAvNwA
                  mintmark authority taint x509 --upstream 5d3f…
                """)

        @OptionGroup var admin: AdminOptions
        @OptionGroup var output: OutputOptions
        @OptionGroup var target: AuthorityTarget

        func run() async throws {
            let target = target
            let state = try await admin.withServer { client in
                try await AuthorityFailure.explained { try await AuthorityCalls.taint(target, client) }
            }
            output.show(AuthorityRendering.one(target.kind, state, as: "tainted"))
        }
    }

    /// `mintmark authority revoke`.
    struct Revoke: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Ends the trust in a tainted authority.",
            discussion: """
                Whatever it signed and nobody has replaced is refused from then on.

                EXAMPLES
                  mintmark authority revoke jwt kfe1ihCZGlxeuMKKZAvNwA
                  mintmark authority revoke x509 --upstream 5d3f…
                """)

        @OptionGroup var admin: AdminOptions
        @OptionGroup var output: OutputOptions
        @OptionGroup var target: AuthorityTarget

        func run() async throws {
            let target = target
            let state = try await admin.withServer { client in
                try await AuthorityFailure.explained { try await AuthorityCalls.revoke(target, client) }
            }
            output.show(AuthorityRendering.one(target.kind, state, as: "revoked"))
        }
    }
}

/// What an authority signs.
package enum AuthorityKind: String, CaseIterable, ExpressibleByArgument, Sendable {
    case x509
    case jwt
}

/// Which authority to take the trust from.
struct AuthorityTarget: ParsableArguments {
    @Argument(help: "x509 or jwt.") var kind: AuthorityKind
    @Argument(help: "The authority's ID, as 'mintmark authority show' prints it.") var id: String?

    @Option(
        help: ArgumentHelp(
            "Instead of an ID: the subject key identifier of a root of the upstream authority.", valueName: "skid"))
    var upstream: String?

    func validate() throws {
        guard (id == nil) != (upstream == nil) else { throw ValidationError("give either an ID or '--upstream'") }
        guard upstream == nil || kind == .x509 else { throw ValidationError("'--upstream' goes with x509") }
    }
}

/// The calls behind the commands.
enum AuthorityCalls {
    typealias Client = GRPCClient<HTTP2ClientTransport.Posix>
    typealias State = Spire_Api_Server_Localauthority_V1_AuthorityState
    private typealias Service = Spire_Api_Server_Localauthority_V1_LocalAuthority.Client

    static func standing(_ kind: AuthorityKind, _ client: Client) async throws -> AuthorityStandingText {
        let bundle = try await Spire_Api_Server_Bundle_V1_Bundle.Client(wrapping: client).getBundle(.init())
        let service = Service(wrapping: client)
        switch kind {
        case .x509:
            let standing = try await service.getX509AuthorityState(.init())
            return AuthorityStandingText(
                kind: kind, active: standing.active, prepared: standing.hasPrepared ? standing.prepared : nil,
                old: standing.hasOld ? standing.old : nil, bundle: bundle)
        case .jwt:
            let standing = try await service.getJWTAuthorityState(.init())
            return AuthorityStandingText(
                kind: kind, active: standing.active, prepared: standing.hasPrepared ? standing.prepared : nil,
                old: standing.hasOld ? standing.old : nil, bundle: bundle)
        }
    }

    static func prepare(_ kind: AuthorityKind, _ client: Client) async throws -> State {
        let service = Service(wrapping: client)
        return switch kind {
        case .x509: try await service.prepareX509Authority(.init()).preparedAuthority
        case .jwt: try await service.prepareJWTAuthority(.init()).preparedAuthority
        }
    }

    static func activate(_ kind: AuthorityKind, _ id: String, _ client: Client) async throws -> State {
        let service = Service(wrapping: client)
        return switch kind {
        case .x509: try await service.activateX509Authority(.with { $0.authorityID = id }).activatedAuthority
        case .jwt: try await service.activateJWTAuthority(.with { $0.authorityID = id }).activatedAuthority
        }
    }

    static func taint(_ target: AuthorityTarget, _ client: Client) async throws -> State {
        let service = Service(wrapping: client)
        if let upstream = target.upstream {
            let answer = try await service.taintX509UpstreamAuthority(.with { $0.subjectKeyID = upstream })
            return .with { $0.upstreamAuthoritySubjectKeyID = answer.upstreamAuthoritySubjectKeyID }
        }
        let id = target.id ?? ""
        return switch target.kind {
        case .x509: try await service.taintX509Authority(.with { $0.authorityID = id }).taintedAuthority
        case .jwt: try await service.taintJWTAuthority(.with { $0.authorityID = id }).taintedAuthority
        }
    }

    static func revoke(_ target: AuthorityTarget, _ client: Client) async throws -> State {
        let service = Service(wrapping: client)
        if let upstream = target.upstream {
            let answer = try await service.revokeX509UpstreamAuthority(.with { $0.subjectKeyID = upstream })
            return .with { $0.upstreamAuthoritySubjectKeyID = answer.upstreamAuthoritySubjectKeyID }
        }
        let id = target.id ?? ""
        return switch target.kind {
        case .x509: try await service.revokeX509Authority(.with { $0.authorityID = id }).revokedAuthority
        case .jwt: try await service.revokeJWTAuthority(.with { $0.authorityID = id }).revokedAuthority
        }
    }
}

/// Turns a server's refusal into an end that a person understands.
///
/// The public API answers several of these mistakes with the code of a server's own failure.
enum AuthorityFailure {
    static func explained<Value: Sendable>(_ body: () async throws -> Value) async throws -> Value {
        do { return try await body() } catch let error as RPCError {
            switch error.code {
            case .internalError, .invalidArgument, .failedPrecondition:
                throw Failure(
                    .refused, error.message,
                    hint: "see how the authorities stand with 'mintmark authority show x509' and '… show jwt'")
            default: throw error
            }
        }
    }
}
