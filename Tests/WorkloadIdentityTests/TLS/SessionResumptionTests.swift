import Crypto
import Foundation
import SPIFFE
import TestSupport
import Testing
import WorkloadIdentity
import X509

@Suite("TLS sessions", .timeLimit(.minutes(1)))
struct SessionResumptionTests {
    /// Runs OpenSSL's client against a port, saves or presents a session, and says what it printed.
    private func openssl(_ port: Int, _ arguments: [String]) throws -> String {
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = ["openssl", "s_client", "-connect", "127.0.0.1:\(port)"] + arguments
        let (input, output) = (Pipe(), Pipe())
        (process.standardInput, process.standardOutput, process.standardError) = (input, output, output)
        try process.run()
        try input.fileHandleForWriting.write(contentsOf: Data("?\n".utf8))
        // The server hangs up by itself; only then does the client end, with every ticket read.
        let said = try output.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        return String(decoding: said, as: UTF8.self)
    }

    @Test("GS-17: no session is resumed past the judgement of the peer", arguments: ["-tls1_2", "-tls1_3"])
    func resumption(_ version: String) async throws {
        let ca = try TestCA.current()
        let (serverLeaf, clientLeaf) = (try ca.currentLeaf("/server"), try ca.currentLeaf("/client"))
        let svid = try X509SVID(chain: Data(try serverLeaf.certificate.derBytes()), privateKey: serverLeaf.pkcs8)
        let source = X509Source(try X509Update(svids: [svid], bundles: [ca.bundle]))
        let judged = Ledger<String>()
        let authorizer = PeerAuthorizer.custom("counted") { peer in
            judged.add("\(peer.id)")
            return true
        }
        try await TemporaryFolder.use { folder in
            let certificate = try clientLeaf.certificate.pemText()
            try Data(certificate.utf8).write(to: URL(filePath: "\(folder)/c.pem"))
            try Data(clientLeaf.key.pemRepresentation.utf8).write(to: URL(filePath: "\(folder)/k.pem"))
            let arguments = [version, "-cert", "\(folder)/c.pem", "-key", "\(folder)/k.pem"]
            try await Loopback.run(WorkloadTLS(source: source, authorizing: authorizer)) {
                (loopback: Loopback) async throws in
                let first = try openssl(loopback.port, arguments + ["-sess_out", "\(folder)/s.pem"])
                #expect(first.contains("spiffe://example.org/client") && first.contains("New,"), "\(first)")
                let hasSession = FileManager.default.fileExists(atPath: "\(folder)/s.pem")
                let again = arguments + (hasSession ? ["-sess_in", "\(folder)/s.pem"] : [])
                let second = try openssl(loopback.port, again)
                #expect(second.contains("spiffe://example.org/client") && !second.contains("Reused,"), "\(second)")
                #expect(judged.count("spiffe://example.org/client") == 2)
            }
        }
    }
}
