internal import CPKCS11
internal import IssuerDomain
internal import Platform
internal import Synchronization

/// A token that this process is logged in to, with the sessions that callers borrow.
///
/// After the token was reset, the next call finds it again, logs in and goes on.
final class PKCS11Token: Sendable {
    private struct Connection {
        var slot: CK_SLOT_ID
        var idle: [CK_SESSION_HANDLE]
        /// Where keys are, by label; handles do not outlive the login.
        var keys: [String: CK_OBJECT_HANDLE] = [:]
    }

    private struct State {
        var connection: Connection?
        /// Counts logins, so that a reset is seen once however many calls it hits.
        var generation = 0
        var refusedPIN: SecretBytes?
    }

    /// More are opened when as many calls are under way, and closed again.
    private static let maximumIdle = 16
    private static let longestPIN = 255

    let module: PKCS11Module
    private let label: String
    private let pinFile: String
    private let files: any FileSystem
    private let state = Mutex(State())

    /// Logs in.
    ///
    /// - Parameters:
    ///   - modulePath: The module of the token's maker, a shared library.
    ///   - label: The label of the token.
    ///   - pinFile: The file with the user PIN, on one line.
    ///   - files: How to read it.
    /// - Throws: ``KeyStoreError``.
    init(modulePath: String, label: String, pinFile: String, files: any FileSystem) throws(KeyStoreError) {
        module = try PKCS11Module.load(modulePath)
        (self.label, self.pinFile, self.files) = (label, pinFile, files)
        try use { _ in }
    }

    deinit {
        state.withLock { state in
            for session in state.connection?.idle ?? [] { module.close(session) }
        }
    }

    /// Runs a body with a session that nobody else uses meanwhile, once more when the token was reset.
    func use<Value>(_ body: (CK_SESSION_HANDLE) throws(PKCS11Failure) -> Value) throws(KeyStoreError) -> Value {
        let (session, generation) = try borrow()
        do throws(PKCS11Failure) {
            let value = try body(session)
            giveBack(session, generation)
            return value
        } catch {
            // It may be in the middle of an operation, so nobody else gets it.
            module.close(session)
            guard error.meansReset else { throw error.keyStoreError }
            forget(generation)
        }
        let (fresh, newGeneration) = try borrow()
        do throws(PKCS11Failure) {
            let value = try body(fresh)
            giveBack(fresh, newGeneration)
            return value
        } catch {
            module.close(fresh)
            if error.meansReset { forget(newGeneration) }
            throw error.keyStoreError
        }
    }

    /// The handle of a private key.
    ///
    /// - Parameters:
    ///   - label: Its label.
    ///   - session: A borrowed session, to look for it when it is not known.
    /// - Returns: The handle; nil when there is no such key.
    /// - Throws: `store(.failed)` when the token has two of that label.
    func privateKey(
        _ label: String, _ session: CK_SESSION_HANDLE
    ) throws(PKCS11Failure) -> CK_OBJECT_HANDLE? {
        if let known = state.withLock({ $0.connection?.keys[label] }) { return known }
        let found = try module.find(
            [.number(CKA_CLASS, CKO_PRIVATE_KEY), .bytes(CKA_LABEL, Array(label.utf8))], limit: 2, session)
        guard found.count < 2 else { throw .store(.failed(detail: "the token has two keys labelled '\(label)'")) }
        if let handle = found.first { state.withLock { $0.connection?.keys[label] = handle } }
        return found.first
    }

    /// Forgets where a key is.
    func forgetKey(_ label: String) { state.withLock { $0.connection?.keys[label] = nil } }

    private func borrow() throws(KeyStoreError) -> (session: CK_SESSION_HANDLE, generation: Int) {
        do throws(PKCS11Failure) {
            return try state.withLock { state throws(PKCS11Failure) in
                if let session = state.connection?.idle.popLast() { return (session, state.generation) }
                if let slot = state.connection?.slot {
                    do throws(PKCS11Failure) { return (try module.openSession(slot), state.generation) } catch {
                        guard error.meansReset else { throw error }
                    }
                }
                return (try connect(&state), state.generation)
            }
        } catch { throw error.keyStoreError }
    }

    private func connect(_ state: inout State) throws(PKCS11Failure) -> CK_SESSION_HANDLE {
        let pin = try pin()
        // Three wrong ones lock most tokens, so one that was refused is not shown again.
        guard pin != state.refusedPIN else {
            throw .store(.loginRefused(detail: "the PIN in \(pinFile) was refused before and has not changed"))
        }
        let slot = try module.slot(ofToken: label)
        let session = try module.openSession(slot)
        do throws(PKCS11Failure) { try module.logIn(session, pin: pin.exposed) } catch {
            module.close(session)
            if case .loginRefused = error.keyStoreError { state.refusedPIN = pin }
            throw error
        }
        state.refusedPIN = nil
        state.generation += 1
        state.connection = Connection(slot: slot, idle: [])
        return session
    }

    private func pin() throws(PKCS11Failure) -> SecretBytes {
        let contents: [UInt8]?
        do { contents = try files.readSecret(pinFile, limit: Self.longestPIN + 2, privacy: .handedOver) } catch {
            throw .store(.failed(detail: error.advice))
        }
        guard let contents else { throw .store(.failed(detail: "there is no PIN file \(pinFile)")) }
        let pin = SecretFile.withoutLineEnd(contents)
        guard !pin.isEmpty else { throw .store(.failed(detail: "the PIN file \(pinFile) is empty")) }
        return SecretBytes(pin)
    }

    private func giveBack(_ session: CK_SESSION_HANDLE, _ generation: Int) {
        let isKept = state.withLock { state in
            guard state.generation == generation, let idle = state.connection?.idle.count, idle < Self.maximumIdle
            else { return false }
            state.connection?.idle.append(session)
            return true
        }
        if !isKept { module.close(session) }
    }

    private func forget(_ generation: Int) {
        let stale = state.withLock { state in
            guard state.generation == generation else { return [CK_SESSION_HANDLE]() }
            defer { state.connection = nil }
            return state.connection?.idle ?? []
        }
        for session in stale { module.close(session) }
    }
}
