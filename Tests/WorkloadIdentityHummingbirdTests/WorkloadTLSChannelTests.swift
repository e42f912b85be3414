import Foundation
import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import SPIFFE
import TestSupport
import Testing
import WorkloadIdentity
import WorkloadIdentityHummingbird
import X509

@Suite("HTTP services inside workload TLS")
struct WorkloadTLSChannelTests {
    let ca: TestCA
    let source: X509Source

    init() throws {
        ca = try TestCA()
        source = try Fixtures.source(try ca.leaf("spiffe://example.org/service"), trusting: ca)
    }

    private func ask(_ service: RunningService, as leaf: TestCA.Leaf, _ rest: Certificate...) async throws -> String {
        try await RawClient.ask(port: service.port, presenting: [leaf.certificate] + rest, key: leaf.pkcs8).text
    }

    @Test("the handler learns the SPIFFE ID of the connection")
    func identity() async throws {
        let leaf = try ca.leaf("spiffe://example.org/caller")
        try await RunningService.with(.spiffe(source: source, authorizing: .any)) { service in
            let answer = try await ask(service, as: leaf)
            #expect(answer.hasPrefix("HTTP/1.1 200"))
            #expect(answer.contains("spiffe://example.org/caller x509"))
        }
    }

    @Test("connections at the same time keep their own identities, on every request")
    func simultaneous() async throws {
        let leaves = try (0..<8).map { try ca.leaf("spiffe://example.org/caller-\($0)") }
        let request = "GET /whoami HTTP/1.1\r\nHost: h\r\n\r\n"
        let last = "GET /whoami HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
        try await RunningService.with(.spiffe(source: source, authorizing: .any)) { service in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for (number, leaf) in leaves.enumerated() {
                    group.addTask {
                        let answer = try await RawClient.ask(
                            port: service.port, presenting: [leaf.certificate], key: leaf.pkcs8,
                            request: request + request + last
                        ).text
                        #expect(answer.components(separatedBy: "/caller-\(number) x509").count == 4)
                    }
                }
                try await group.waitForAll()
            }
        }
    }

    @Test("a chain with an intermediate is accepted")
    func intermediate() async throws {
        let intermediate = try ca.intermediate()
        let leaf = try intermediate.leaf("spiffe://example.org/caller")
        try await RunningService.with(.spiffe(source: source, authorizing: .any)) { service in
            let answer = try await ask(service, as: leaf, intermediate.certificate)
            #expect(answer.hasPrefix("HTTP/1.1 200"))
        }
    }

    /// Certificates that a client may not come in with.
    enum Intruder: CaseIterable {
        case otherTrustDomain, otherIdentity, signedByOtherDomain, expired, notYetValid, authority, trustDomainItself
        case twoIdentities, noIdentity, forgedAuthority

        func leaf(_ ca: TestCA) throws -> TestCA.Leaf {
            let caller = "spiffe://example.org/caller"
            let other = try TestCA("other.example")
            switch self {
            case .otherTrustDomain: return try other.leaf("spiffe://other.example/caller")
            case .otherIdentity: return try ca.leaf("spiffe://example.org/intruder")
            case .signedByOtherDomain: return try other.leaf(caller)
            case .expired: return try ca.leaf(caller) { $0.validity = .distantPast..<CertificateRecipe.now - 1 }
            case .notYetValid:
                return try ca.leaf(caller) { $0.validity = CertificateRecipe.now + 600..<CertificateRecipe.now + 900 }
            case .authority:
                return try ca.leaf(caller) { $0.basicConstraints = .isCertificateAuthority(maxPathLength: nil) }
            case .trustDomainItself: return try ca.leaf("spiffe://example.org")
            case .twoIdentities: return try ca.leaf(caller) { $0.uris.append("spiffe://example.org/admin") }
            case .noIdentity: return try ca.leaf(caller) { $0.uris = [] }
            case .forgedAuthority: return try TestCA().leaf(caller)
            }
        }
    }

    @Test("no request of an intruder reaches a handler (X05..X08, X509-24..30)", arguments: Intruder.allCases)
    func intruders(_ intruder: Intruder) async throws {
        let leaf = try intruder.leaf(ca)
        let caller = try SPIFFEID("spiffe://example.org/caller")
        for clientCertificate in [WorkloadTLS.ClientCertificate.required, .optional] {
            try await RunningService.with(
                .spiffe(source: source, authorizing: .id(caller), clientCertificate: clientCertificate)
            ) { service in
                let answer = try await ask(service, as: leaf)
                #expect(answer.isEmpty)
                #expect(service.handledRequests == 0)
                let honest = try await ask(service, as: try ca.leaf("\(caller)"))
                #expect(honest.hasPrefix("HTTP/1.1 200"))
            }
        }
    }

    @Test("a client without a certificate is refused in the handshake")
    func noCertificate() async throws {
        try await RunningService.with(.spiffe(source: source, authorizing: .any)) { service in
            let answer = try await RawClient.ask(port: service.port).text
            #expect(answer.isEmpty)
            #expect(service.handledRequests == 0)
        }
    }

    @Test("where certificates are optional, a client without one has no identity")
    func optionalCertificate() async throws {
        let server = HTTPServerBuilder.spiffe(source: source, authorizing: .any, clientCertificate: .optional)
        try await RunningService.with(server) { service in
            let answer = try await RawClient.ask(port: service.port).text
            #expect(answer.hasPrefix("HTTP/1.1 403"))
            #expect(service.handledRequests == 0)
        }
    }

    @Test("plain HTTP is not answered")
    func plain() async throws {
        try await RunningService.with(.spiffe(source: source, authorizing: .any)) { service in
            let answer = try await RawClient.ask(port: service.port, tls: false).text
            #expect(!answer.contains("HTTP/1.1"))
            #expect(service.handledRequests == 0)
        }
    }

    @Test("a client that never begins the handshake is dropped when the idle time is over", .timeLimit(.minutes(1)))
    func silent() async throws {
        let server = HTTPServerBuilder.spiffe(
            source: source, authorizing: .any, configuration: .init(idleTimeout: .milliseconds(100)))
        try await RunningService.with(server) { service in
            let answer = try await RawClient.ask(port: service.port, tls: false, request: "").text
            #expect(answer.isEmpty)
        }
    }

    @Test("a new connection sees the new certificate after rotation, and new trust")
    func rotation() async throws {
        let leaf = try ca.leaf("spiffe://example.org/caller")
        let next = try TestCA(commonName: "next root")
        let renewed = try next.leaf("spiffe://example.org/service")
        let caller = try next.leaf("spiffe://example.org/caller")
        try await RunningService.with(.spiffe(source: source, authorizing: .any)) { service in
            let before = try await RawClient.ask(
                port: service.port, presenting: [leaf.certificate], key: leaf.pkcs8)
            let shown = try source.svid.certificates.first?.derBytes()
            #expect(before.serverLeaf == shown)
            source.replace(with: .success(try Fixtures.update(renewed, trusting: [next])))
            let after = try await RawClient.ask(
                port: service.port, presenting: [caller.certificate], key: caller.pkcs8)
            #expect(after.text.hasPrefix("HTTP/1.1 200"))
            let shownNow = try renewed.certificate.derBytes()
            #expect(after.serverLeaf == shownNow)
            #expect(try await ask(service, as: leaf).isEmpty, "the old authority is not trusted any more")
        }
    }

    @Test("while there is no identity to present, connections are refused, and no longer")
    func withdrawal() async throws {
        let leaf = try ca.leaf("spiffe://example.org/caller")
        let held = try source.update
        try await RunningService.with(.spiffe(source: source, authorizing: .any)) { service in
            source.replace(with: .failure(WorkloadAPIError(.noIdentity, "taken back")))
            let refused = try await ask(service, as: leaf)
            #expect(refused.isEmpty)
            #expect(service.logs.messages(from: .warning).contains("connection refused"))
            source.replace(with: .success(held))
            #expect(try await ask(service, as: leaf).hasPrefix("HTTP/1.1 200"))
        }
    }
}
