import Foundation
import NodeAttestation
import Platform
import SPIFFE
import SwiftASN1
import TestSupport
import Testing
import X509

/// A TPM 2.0 as `swtpm` emulates it, in a process of its own, set up as its maker would: with an endorsement certificate.
final class EmulatedTPM {
    static let isInstalled = ["swtpm", "swtpm_setup", "swtpm_localca", "certtool", "tpm2"].allSatisfy(
        Command.isInstalled)
    static let wanted: Comment = "needs swtpm, swtpm-tools and tpm2-tools"

    /// Which key a DevID is.
    enum Kind: CaseIterable {
        case rsa
        case p256

        fileprivate var root: String {
            switch self {
            case .rsa: "rsa2048:null:aes128cfb"
            case .p256: "ecc256:null:aes128cfb"
            }
        }

        fileprivate var key: String {
            switch self {
            case .rsa: "rsa2048:rsassa-sha256:null"
            case .p256: "ecc256:ecdsa-sha256:null"
            }
        }
    }

    /// Where everything lies.
    let folder: String
    private let process: Process

    var socket: String { "\(folder)/socket" }
    private var environment: [String: String] { ["TPM2TOOLS_TCTI": "swtpm:path=\(socket)"] }

    /// The authority that signed the endorsement certificate.
    var maker: Certificate {
        get throws {
            try Certificate(pemEncoded: String(contentsOfFile: "\(folder)/ca/issuercert.pem", encoding: .utf8))
        }
    }

    /// Makes a TPM and starts it, in an empty folder of its own with a short name.
    init(in folder: String) async throws {
        self.folder = folder
        for name in ["state", "ca"] {
            try FileManager.default.createDirectory(atPath: "\(folder)/\(name)", withIntermediateDirectories: true)
        }
        try """
        statedir = \(folder)/ca
        signingkey = \(folder)/ca/signkey.pem
        issuercert = \(folder)/ca/issuercert.pem
        certserial = \(folder)/ca/certserial
        """.write(toFile: "\(folder)/localca.conf", atomically: true, encoding: .utf8)
        try "".write(toFile: "\(folder)/localca.options", atomically: true, encoding: .utf8)
        try """
        create_certs_tool = \(try #require(Command.path(of: "swtpm_localca")))
        create_certs_tool_config = \(folder)/localca.conf
        create_certs_tool_options = \(folder)/localca.options
        active_pcr_banks = sha256
        """.write(toFile: "\(folder)/setup.conf", atomically: true, encoding: .utf8)
        try await Command.run([
            "timeout", "--signal=KILL", "60", "swtpm_setup", "--tpm2", "--tpm-state", "\(folder)/state", "--config",
            "\(folder)/setup.conf", "--create-ek-cert", "--write-ek-cert-files", folder,
        ])
        process = Process()
        process.executableURL = URL(fileURLWithPath: try #require(Command.path(of: "timeout")))
        // The time limit ends it should the test process crash.
        process.arguments = [
            "--signal=KILL", "300", "swtpm", "socket", "--tpm2", "--tpmstate", "dir=\(folder)/state", "--server",
            "type=unixio,path=\(folder)/socket", "--ctrl", "type=unixio,path=\(folder)/socket.ctrl", "--flags",
            "not-need-init,startup-clear",
        ]
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
        let deadline = ContinuousClock.now + .seconds(20)
        while (try? TPMConnection(path: socket)) == nil {
            try #require(ContinuousClock.now < deadline, "swtpm does not listen")
            try await Task.sleep(for: .milliseconds(20))
        }
    }

    /// Ends the process.
    func stop() {
        // Both the time limit and what it limits, which inherited from a thread of ours that it hears no other signal.
        kill(-process.processIdentifier, SIGKILL)
        process.waitUntilExit()
    }

    /// Runs one of the TPM2 tools.
    func tool(_ words: String...) async throws {
        try await Command.run(["timeout", "--signal=KILL", "60", "tpm2"] + words, environment: environment)
        // Without a resource manager, what a tool loads stays.
        try await Command.run(
            ["timeout", "--signal=KILL", "60", "tpm2", "flushcontext", "--transient-object"], environment: environment)
    }

    /// Makes a DevID key with the TPM2 tools, and has its certificate signed.
    func makeDevID(
        _ kind: Kind, password: String = "", authority: TestCA, name: String = "devid", attributes: String = ""
    ) async throws -> TPMDevIDProverSettings {
        let root = "restricted|decrypt|fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda"
        let own = attributes.isEmpty ? "sign|fixedtpm|fixedparent|sensitivedataorigin|userwithauth" : attributes
        try await tool(
            "createprimary", "-C", "o", "-g", "sha256", "-G", kind.root, "-a", root, "-c", "\(folder)/root.ctx")
        try await tool(
            "create", "-C", "\(folder)/root.ctx", "-g", "sha256", "-G", kind.key, "-a", own, "-u",
            "\(folder)/\(name).pub", "-r", "\(folder)/\(name).priv", "-p", password)
        let area = try TPMPublicArea(parsingFile: bytes(of: "\(name).pub"))
        let certificate = try authority.deviceCertificate(for: try #require(area.certificateKey))
        try (certificate.pemText()).write(
            toFile: "\(folder)/\(name).pem", atomically: true, encoding: .utf8)
        return TPMDevIDProverSettings(
            certificatePath: "\(folder)/\(name).pem", privatePath: "\(folder)/\(name).priv",
            publicPath: "\(folder)/\(name).pub", devicePath: socket,
            devIDPassword: SecretBytes(password.utf8))
    }

    /// Replaces the endorsement certificate with one for a P-256 key, signed by another maker.
    func replaceEndorsement(signedBy maker: TestCA) async throws {
        try await tool("createek", "-G", "ecc", "-c", "\(folder)/ek.ctx", "-u", "\(folder)/ek.pub")
        let area = try TPMPublicArea(parsingFile: bytes(of: "ek.pub"))
        let certificate = try maker.deviceCertificate(for: try #require(area.certificateKey)) {
            $0.keyUsage = KeyUsage(keyAgreement: true)
            $0.extendedKeyUsage = [ExtendedKeyUsage.Usage(oid: [2, 23, 133, 8, 1])]
        }
        let der = try certificate.derBytes()
        // Some TPMs give away more than the certificate.
        try Data(der + [UInt8](repeating: 0xFF, count: 700)).write(to: URL(fileURLWithPath: "\(folder)/ek.der"))
        try await tool("nvundefine", "0x1c00002", "-C", "p")
        try await tool(
            "nvdefine", "0x1c0000a", "-C", "o", "-s", "\(der.count + 700)", "-a", "ownerread|authread|ownerwrite|no_da")
        try await tool("nvwrite", "0x1c0000a", "-C", "o", "-i", "\(folder)/ek.der")
    }

    /// How many keys are in the TPM.
    func loadedKeys() async throws -> Int {
        try await Command.run(
            ["timeout", "--signal=KILL", "60", "tpm2", "getcap", "handles-transient"], environment: environment
        )
        .split(separator: "\n").count
    }

    func bytes(of name: String) throws -> [UInt8] {
        Array(try #require(FileManager.default.contents(atPath: "\(folder)/\(name)")))
    }
}

extension TestCA {
    /// An authority for devices, valid at any time that a test runs at.
    static func devices(_ commonName: String = "devices") throws -> TestCA {
        try TestCA("devices.test", commonName: commonName) {
            $0.uris = []
            $0.validity = CertificateRecipe.anyTime
        }
    }

    /// A certificate of a device, as an owner makes it.
    func deviceCertificate(
        for key: Certificate.PublicKey, _ change: (inout CertificateRecipe) -> Void = { _ in }
    ) throws -> Certificate {
        try leaf(nil, for: key) {
            $0.commonName = "machine-17"
            $0.uris = []
            $0.extendedKeyUsage = []
            $0.validity = CertificateRecipe.anyTime
            change(&$0)
        }
    }
}

extension CertificateRecipe {
    /// Thirty years around the present one.
    static let anyTime = Date(timeIntervalSince1970: 1_500_000_000)..<Date(timeIntervalSince1970: 2_500_000_000)
}
