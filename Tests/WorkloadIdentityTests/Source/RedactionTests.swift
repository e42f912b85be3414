import Crypto
import Foundation
import SPIFFE
import SwiftProtobuf
import TestSupport
import Testing
import WorkloadAPIProtos
import WorkloadIdentity

@Suite("Secrets in descriptions", .timeLimit(.minutes(1)))
struct RedactionTests {
    /// Every way in which a value may end up in a log.
    private func texts(of value: Any) -> [String] {
        var dumped = ""
        dump(value, to: &dumped)
        return [
            "\(value)", String(describing: value), String(reflecting: value), dumped, "\([value])", "\(["k": value])",
        ]
    }

    /// What would give a key away: its DER in any of the usual spellings, whole or in part.
    private func traces(of key: Data) -> [String] {
        let bytes = Array(key.suffix(48))
        return [
            key.base64EncodedString(), bytes.map { "\($0)" }.joined(separator: ", "),
            bytes.map { String($0, radix: 16) }.joined(),
            bytes.prefix(8).map { "\($0)" }.joined(separator: ", "), "\(key.count) bytes", "PRIVATE KEY",
        ]
    }

    @Test("no description of an identity or of what holds it shows the private key")
    func key() async throws {
        let ca = try TestCA.current()
        let wire = try ca.wire()
        let message = try WorkloadX509SVIDResponse(wire).bytes
        try await FakeAgent.run { agent, options in
            agent.play(.x509SVID, [.send(message), .hang])
            let source = try await X509Source.start(options: options)
            let update = try source.update
            let values: [Any] = [
                try source.svid, update, source, source.updates, Result<X509Update, WorkloadAPIError>.success(update),
                Optional(update) as Any, try source.material(), WorkloadTLS(source: source, authorizing: .any),
                SVIDPicker.first, options,
            ]
            for text in values.flatMap(texts) {
                for trace in traces(of: wire.x509SvidKey) { #expect(!text.contains(trace)) }
            }
            await source.close()
        }
    }

    @Test("no description of a token or of what holds it shows the token")
    func token() async throws {
        let mint = TokenMint()
        let text = try mint.token()
        try await FakeAgent.run { agent, options in
            let log = LogWatch()
            agent.play(.jwtBundles, [.send(try mint.bundles.bytes), .hang])
            agent.play(
                .jwtSVID,
                [
                    .send(
                        try WorkloadJWTSVIDResponse(
                            .with {
                                $0.spiffeID = "spiffe://example.org/w"; $0.svid = text
                            }
                        ).bytes)
                ])
            let source = try await JWTSource.start(options: options.logging(to: log))
            let token = try await source.token(for: "a")
            #expect(token.token == text)
            let proven = PeerIdentity(try source.validate(text, audience: "a"))
            let signature = try #require(text.split(separator: ".").last)
            for shown in ([token, [token], source, source.updates, proven] as [Any]).flatMap(texts) {
                #expect(!shown.contains(signature))
            }
            await source.close()
        }
    }

    @Test("an error about a malformed message shows neither key nor token")
    func errors() throws {
        var wire = try TestCA.current().wire()
        let key = wire.x509SvidKey
        for spoil in [{ $0.x509Svid.removeLast() }, { $0.spiffeID = "x" }, { $0.x509SvidKey += [0] }]
            as [(inout WorkloadX509SVID) -> Void]
        {
            spoil(&wire)
            let error = #expect(throws: (any Error).self) { try X509Update(WorkloadX509SVIDResponse(wire)) }
            for text in texts(of: try #require(error)) {
                for trace in traces(of: key) { #expect(!text.contains(trace)) }
            }
        }
        let mint = TokenMint()
        var token = try mint.wire()
        token.spiffeID = "spiffe://example.org/other"
        let error = #expect(throws: WorkloadAPIError.self) {
            try FetchedJWTSVID.tokens(WorkloadJWTSVIDResponse(token), for: ["a"], as: nil)
        }
        for text in texts(of: try #require(error)) { #expect(!text.contains(token.svid.suffix(40))) }
    }
}
