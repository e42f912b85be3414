internal import Dispatch
internal import Foundation
package import Platform
internal import SwiftASN1
internal import Synchronization
internal import X509

/// Shows a node's DevID certificate, and lets the TPM prove that it holds the key: the agent's half of `tpm_devid`.
///
/// Files are read and the TPM is opened at each attestation, and nothing is left in it afterwards.
package final class TPMDevIDProver: NodeProver {
    /// What the first message leaves for the second.
    private struct Shown: Sendable {
        let keys: TPMDevIDKeys
        let saved: TPMDevIDKeys.Saved
        let devicePath: String
    }

    private static let maximumCertificates = 1 << 20

    private let settings: TPMDevIDProverSettings
    private let files: any FileSystem
    private let shown = Mutex<Shown?>(nil)
    /// TPMs are slow, and answer on the thread that asks.
    private let thread = DispatchQueue(label: "mintmark.tpm")

    package init(_ settings: TPMDevIDProverSettings, files: any FileSystem) {
        (self.settings, self.files) = (settings, files)
    }

    package var type: String { TPMDevIDAttestor.type }

    package func payload() async throws(NodeAttestationError) -> [UInt8] {
        let certificates = try certificates()
        let keys = try keys()
        let devicePath = try devicePath()
        let found = try await ask(devicePath) { (tpm) throws(TPMError) in try keys.show(tpm) }
        shown.withLock { $0 = Shown(keys: keys, saved: found.saved, devicePath: devicePath) }
        return TPMDevIDMessages.Evidence(
            devIDCertificates: certificates, devIDPublic: keys.public.bytes,
            endorsementCertificate: found.endorsementCertificate, endorsementPublic: found.endorsementPublic,
            attestationPublic: found.attestationPublic, certification: found.certification,
            certificationSignature: found.certificationSignature
        ).message
    }

    package func answer(to challenge: [UInt8]) async throws(NodeAttestationError) -> [UInt8] {
        let challenge = try TPMDevIDMessages.Challenge(parsing: challenge)
        // Once: the attestation key is for one attestation.
        let shown = shown.withLock { shown in
            defer { shown = nil }
            return shown
        }
        guard let shown else { throw .exchange("a challenge came before it was asked for") }
        return try await ask(shown.devicePath) { (tpm) throws(TPMError) in
            try shown.keys.answer(challenge, saved: shown.saved, tpm)
        }.message
    }

    /// Opens the TPM, and asks it on a thread that may wait.
    private func ask<Value: Sendable>(
        _ path: String, _ body: @escaping @Sendable (TPMSession) throws(TPMError) -> Value
    ) async throws(NodeAttestationError) -> Value {
        let result: Result<Value, TPMError> = await withCheckedContinuation { continuation in
            thread.async {
                continuation.resume(
                    returning: Result { () throws(TPMError) in
                        try TPMSession(TPMConnection(path: path)).run(body)
                    })
            }
        }
        do throws(TPMError) { return try result.get() } catch { throw .unavailable("\(error)") }
    }

    private func devicePath() throws(NodeAttestationError) -> String {
        if let path = settings.devicePath { return path }
        return try TPMDeviceSearch.path(files)
    }

    private func certificates() throws(NodeAttestationError) -> [[UInt8]] {
        let text = String(decoding: try read(settings.certificatePath, Self.maximumCertificates), as: UTF8.self)
        let documents = (try? PEMDocument.parseMultiple(pemString: text)) ?? []
        let found = documents.filter { $0.discriminator == Certificate.defaultPEMDiscriminator }.map(\.derBytes)
        guard !found.isEmpty else { throw .unavailable("\(settings.certificatePath) holds no certificate in PEM") }
        return found
    }

    private func keys() throws(NodeAttestationError) -> TPMDevIDKeys {
        let contents = try read(settings.publicPath, TPMBlob.maximumLength)
        let area: TPMPublicArea
        do throws(TPMFormatError) { area = try TPMPublicArea(parsingFile: contents) } catch {
            throw .unavailable("\(settings.publicPath) is not the public area of a key: \(error)")
        }
        return TPMDevIDKeys(
            private: TPMBlob.content(of: try read(settings.privatePath, TPMBlob.maximumLength)), public: area,
            devIDPassword: settings.devIDPassword, ownerPassword: settings.ownerPassword,
            endorsementPassword: settings.endorsementPassword)
    }

    private func read(_ path: String, _ limit: Int) throws(NodeAttestationError) -> [UInt8] {
        let contents: [UInt8]?
        do throws(FileSystemError) { contents = try files.read(path, limit: limit) } catch {
            throw .unavailable("\(error)")
        }
        guard let contents else { throw .unavailable("no file at \(path)") }
        return contents
    }
}
