internal import ArgumentParser
internal import Bootstrap
internal import Foundation
internal import Platform
internal import SPIFFE
internal import WorkloadIdentity
internal import X509

/// `mintmark svid`.
struct SVIDCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "svid", abstract: "A workload's view: what the calling process gets.",
        subcommands: [Fetch.self, Watch.self, Validate.self])

    /// `mintmark svid fetch`.
    struct Fetch: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Fetches SVIDs once.", subcommands: [FetchX509.self, FetchJWT.self])
    }

    /// `mintmark svid fetch x509`.
    struct FetchX509: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "x509", abstract: "Fetches the X.509-SVIDs of this process.",
            discussion: """
                EXAMPLES
                  mintmark svid fetch x509
                  mintmark svid fetch x509 --write /run/my-service --output json
                """)

        @OptionGroup var workload: WorkloadOptions
        @OptionGroup var output: OutputOptions

        @Option(help: ArgumentHelp("Writes svid.N.pem, svid.N.key and bundle.N.pem there.", valueName: "dir"))
        var write: String?

        func run() async throws {
            let client = try workload.client()
            let update: X509Update
            do { update = try await client.fetchX509SVIDs() } catch {
                throw WorkloadFailure.describe(error, endpoint: client.endpoint)
            }
            if let write { try SVIDFiles.write(update, to: write, files: LocalFileSystem()) }
            output.show(try SVIDRendering.x509(update))
        }
    }

    /// `mintmark svid fetch jwt`.
    struct FetchJWT: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "jwt", abstract: "Fetches JWT-SVIDs of this process.",
            discussion: """
                EXAMPLES
                  mintmark svid fetch jwt --audience https://api.example.org
                  curl -H "Authorization: Bearer $(mintmark svid fetch jwt --audience api --output json | jq -r .svids[0].token)" …
                """)

        @OptionGroup var workload: WorkloadOptions
        @OptionGroup var output: OutputOptions

        @Option(help: ArgumentHelp("Whom the token is for; repeat for more.", valueName: "name"))
        var audience: [String]

        @Option(
            help: ArgumentHelp("Which identity; all of them when left out.", valueName: "id"),
            transform: Judged.spiffeID)
        var spiffeID: SPIFFEID?

        func run() async throws {
            let client = try workload.client()
            do throws(WorkloadAPIError) {
                output.show(SVIDRendering.jwt(try await client.fetchJWTSVIDs(audience: audience, id: spiffeID)))
            } catch { throw WorkloadFailure.describe(error, endpoint: client.endpoint) }
        }
    }

    /// `mintmark svid watch`.
    struct Watch: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Shows the X.509-SVIDs of this process again whenever they change, until interrupted.",
            discussion: "EXAMPLE\n  mintmark svid watch --output json")

        @OptionGroup var workload: WorkloadOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            let client = try workload.client()
            let format = output.output
            try await Interruption.end {
                do throws(WorkloadAPIError) {
                    try await client.followX509SVIDs { update in try Self.show(try update.get(), format) }
                } catch { throw WorkloadFailure.describe(error, endpoint: client.endpoint) }
            }
        }

        /// One document a line, so that a program can read update after update.
        private static func show(_ update: X509Update, _ format: OutputFormat) throws {
            let rendering = try SVIDRendering.x509(update)
            switch format {
            case .json: Terminal.say(rendering.value.compactText)
            case .yaml: Terminal.say("---\n" + rendering.text(.yaml))
            case .table: Terminal.say(rendering.table)
            }
        }
    }

    /// `mintmark svid validate`.
    struct Validate: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Has the agent judge a JWT-SVID.",
            discussion: """
                EXAMPLES
                  mintmark svid validate --audience api "$TOKEN"
                  mintmark svid validate --audience api --output json - < token.jwt
                """)

        @OptionGroup var workload: WorkloadOptions
        @OptionGroup var output: OutputOptions

        @Option(help: ArgumentHelp("The audience you go by.", valueName: "name"))
        var audience: String

        @Argument(help: "The token, or - to read it from standard input.")
        var token: String

        func validate() throws {
            guard !audience.isEmpty else { throw ValidationError("--audience needs the name you go by") }
        }

        func run() async throws {
            let client = try workload.client()
            let token = token == "-" ? Self.fromStandardInput() : token
            do throws(WorkloadAPIError) {
                let verdict = try await client.validateJWTSVID(token, audience: audience)
                output.show(SVIDRendering.verdict(verdict.id, claimsJSON: verdict.claimsJSON))
            } catch  where error.code == .invalidRequest {
                throw Failure(
                    .refused, error.message,
                    hint: "ask the caller for a token that is valid now and meant for '\(audience)'")
            } catch { throw WorkloadFailure.describe(error, endpoint: client.endpoint) }
        }

        private static func fromStandardInput() -> String {
            let bytes = (try? FileHandle.standardInput.read(upToCount: 64 << 10)) ?? nil
            return String(decoding: bytes ?? Data(), as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
        }
    }
}

/// Writes what a workload holds to files, as other tools take them.
enum SVIDFiles {
    static func write(_ update: X509Update, to folder: String, files: any FileSystem) throws {
        do {
            try files.createDirectory(folder, mode: 0o700)
            for (number, svid) in update.svids.enumerated() {
                let chain = try svid.certificates.map { try $0.pemText() }.joined()
                let bundle = try update.bundles[svid.id.trustDomain]?.authorities.map { try $0.pemText() }.joined()
                try files.replace("\(folder)/svid.\(number).key", with: Array(svid.privateKeyPEM.utf8), mode: 0o600)
                try files.replace("\(folder)/svid.\(number).pem", with: Array(chain.utf8), mode: 0o644)
                try files.replace("\(folder)/bundle.\(number).pem", with: Array((bundle ?? "").utf8), mode: 0o644)
            }
        } catch let error as FileSystemError {
            throw Failure(.cannotCreate, "\(error)", hint: "give --write a folder that can be written")
        }
    }
}

/// Shows SVIDs; never their keys.
enum SVIDRendering {
    static func x509(_ update: X509Update) throws -> Rendering {
        let svids = try update.svids.map { svid -> JSONValue in
            let bundle = try update.bundles[svid.id.trustDomain]?.authorities.map { try $0.pemText() }.joined()
            return .members([
                "spiffe_id": .string("\(svid.id)"), "hint": .string(svid.hint),
                "serial_number": .string(svid.certificates.first?.serialNumber.hexText ?? ""),
                "expires_at": .string(svid.certificates.first?.notValidAfter.formatted(.iso8601) ?? ""),
                "certificates": .string(try svid.certificates.map { try $0.pemText() }.joined()),
                "bundle": .string(bundle ?? ""),
            ])
        }
        let tables = update.svids.map { svid in
            TableText.fields([
                ("SPIFFE ID", "\(svid.id)"), ("Hint", svid.hint),
                ("Serial", svid.certificates.first?.serialNumber.hexText ?? ""),
                ("Valid from", svid.certificates.first?.notValidBefore.formatted(.iso8601) ?? ""),
                ("Valid until", svid.certificates.first?.notValidAfter.formatted(.iso8601) ?? ""),
                ("Authorities", "\(update.bundles[svid.id.trustDomain]?.authorities.count ?? 0)"),
            ])
        }
        return Rendering(.members(["svids": .array(svids)]), table: tables.joined(separator: "\n\n"))
    }

    static func jwt(_ svids: [FetchedJWTSVID]) -> Rendering {
        Rendering(
            .members([
                "svids": .array(
                    svids.map {
                        .members([
                            "spiffe_id": .string("\($0.id)"), "hint": .string($0.hint), "token": .string($0.token),
                            "expires_at": .string($0.expiry.formatted(.iso8601)),
                        ])
                    })
            ]),
            table: svids.map {
                TableText.fields([
                    ("SPIFFE ID", "\($0.id)"), ("Hint", $0.hint), ("Valid until", $0.expiry.formatted(.iso8601)),
                    ("Token", $0.token),
                ])
            }.joined(separator: "\n\n"))
    }

    /// The wire carries every number as a double; instants are shown as the token has them.
    private static func wholeNumbers(_ value: JSONValue) -> JSONValue {
        switch value {
        case .number(let text):
            return Double(text).flatMap { Int64(exactly: $0) }.map { .integer($0) } ?? value
        case .array(let elements): return .array(elements.map(wholeNumbers))
        case .object(let object): return .object(JSONObject(object.map { ($0.name, wholeNumbers($0.value)) }))
        case .null, .bool, .string: return value
        }
    }

    static func verdict(_ id: SPIFFEID, claimsJSON: String) -> Rendering {
        let claims = wholeNumbers((try? JSONValue(parsing: Array(claimsJSON.utf8))) ?? .null)
        return Rendering(
            .members(["spiffe_id": .string("\(id)"), "claims": claims]),
            table: TableText.fields([("SPIFFE ID", "\(id)"), ("Claims", claims.prettyText)]))
    }
}
