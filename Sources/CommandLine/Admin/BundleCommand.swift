internal import ArgumentParser
internal import Bootstrap
internal import Foundation
internal import GRPCCore
package import IssuerAPIProtos
package import SPIFFE
internal import SwiftProtobuf
internal import X509

/// `mintmark bundle`.
struct BundleCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bundle", abstract: "Shows trust bundles, and manages those of other trust domains.",
        subcommands: [Show.self, BundleListCommand.self, BundleSetCommand.self, BundleDeleteCommand.self])

    /// How a bundle is written.
    enum Format: String, CaseIterable, ExpressibleByArgument {
        case pem
        case spiffe
        case jwks
    }

    /// `mintmark bundle show`.
    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Shows the trust bundle of the server's trust domain, or of another one.",
            discussion: """
                Without --format, --output table writes PEM, and json and yaml write a summary with every authority.

                EXAMPLES
                  mintmark bundle show > bundle.pem
                  mintmark bundle show --format spiffe
                  mintmark bundle show --output json
                  mintmark bundle show --trust-domain other.example --format spiffe
                """)

        @OptionGroup var admin: AdminOptions
        @OptionGroup var output: OutputOptions

        @Option(help: "How to write it: pem, spiffe or jwks.")
        var format: Format?

        @Option(
            help: ArgumentHelp("Whose bundle; without it, the server's own.", valueName: "domain"),
            transform: Judged.trustDomain)
        var trustDomain: TrustDomain?

        func run() async throws {
            let wire = try await admin.withServer { [trustDomain] client in
                let bundles = Spire_Api_Server_Bundle_V1_Bundle.Client(wrapping: client)
                guard let trustDomain else { return try await bundles.getBundle(.init()) }
                return try await FederationFailure.describing {
                    try await bundles.getFederatedBundle(.with { $0.trustDomain = trustDomain.name })
                }
            }
            let bundle: TrustBundle
            do { bundle = try BundleRendering.bundle(wire) } catch {
                throw Failure(
                    .refused, "server sent a bundle that is not sound: \(error)", hint: "see the server's log")
            }
            switch (format, output.output) {
            case (.pem?, _), (nil, .table): Terminal.say(String(try bundle.pemText().dropLast()))
            case (.spiffe?, _):
                output.show(Rendering(try bundle.spiffeDocument(), table: try bundle.spiffeDocument().prettyText))
            case (.jwks?, _): output.show(Rendering(bundle.jwkSet, table: bundle.jwkSet.prettyText))
            case (nil, .json), (nil, .yaml):
                output.show(Rendering(try BundleRendering.summary(bundle, wire), table: ""))
            }
        }
    }
}

/// Shows bundles.
package enum BundleRendering {
    package static func bundle(_ wire: Spire_Api_Types_Bundle) throws -> TrustBundle {
        var keys: [String: JWTVerificationKey] = [:]
        for key in wire.jwtAuthorities { keys[key.keyID] = try JWTVerificationKey(derRepresentation: key.publicKey) }
        return TrustBundle(
            trustDomain: try TrustDomain(wire.trustDomain),
            x509Authorities: try wire.x509Authorities.map { try DERConcatenation.certificate(in: Array($0.asn1)[...]) },
            jwtAuthorities: keys, sequence: wire.sequenceNumber, refreshHint: UInt64(clamping: wire.refreshHint))
    }

    package static func summary(_ bundle: TrustBundle, _ wire: Spire_Api_Types_Bundle) throws -> JSONValue {
        .members([
            "trust_domain": .string(bundle.trustDomain.name),
            "sequence": bundle.sequence.map { .integer($0) } ?? .null,
            "refresh_hint": bundle.refreshHint.map { .integer($0) } ?? .null,
            "x509_authorities": .array(
                try bundle.x509.authorities.map { certificate in
                    .members([
                        "serial_number": .string(certificate.serialNumber.hexText),
                        "not_before": .string(certificate.notValidBefore.formatted(.iso8601)),
                        "not_after": .string(certificate.notValidAfter.formatted(.iso8601)),
                        "certificate": .string(try certificate.pemText()),
                    ])
                }),
            "jwt_authorities": .array(
                wire.jwtAuthorities.map {
                    .members(["key_id": .string($0.keyID), "expires_at": InstantText.optional($0.expiresAt)])
                }),
        ])
    }
}
