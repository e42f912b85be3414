internal import CPKCS11
internal import Foundation
internal import IssuerDomain
internal import Synchronization

/// A PKCS #11 library that was loaded into this process.
///
/// Unchecked: the pointer never changes, the library was told to lock by itself (PKCS #11 §5.4), and a session, which only
/// one thread may use, is lent to one caller at a time by ``PKCS11Token``.
final class PKCS11Module: @unchecked Sendable {
    /// Every library is initialized once in the life of a process and never finalized: others may use it as well.
    private static let loaded = Mutex<[String: PKCS11Module]>([:])

    private static let maximumSlots = 256

    private let module: OpaquePointer

    private init(_ module: OpaquePointer) { self.module = module }

    /// Loads a library, or finds it among those that were.
    ///
    /// - Throws: `failed`.
    static func load(_ path: String) throws(KeyStoreError) -> PKCS11Module {
        try loaded.withLock { loaded throws(KeyStoreError) in
            if let known = loaded[path] { return known }
            var reason = [CChar](repeating: 0, count: 512)
            guard let pointer = mintmark_pkcs11_load(path, &reason, reason.count) else {
                let text = String(decoding: reason.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
                throw .failed(detail: "PKCS #11 module \(path): \(text)")
            }
            let code = mintmark_pkcs11_initialize(pointer)
            guard code == CKR_OK || code == CKR_CRYPTOKI_ALREADY_INITIALIZED else {
                throw PKCS11Failure.returned(code: code, function: "C_Initialize").keyStoreError
            }
            let module = PKCS11Module(pointer)
            loaded[path] = module
            return module
        }
    }

    /// The slot with the token of a label.
    ///
    /// - Throws: `store(.failed)` when there is none, or more than one.
    func slot(ofToken label: String) throws(PKCS11Failure) -> CK_SLOT_ID {
        // Asked without room first: only then does a module look for tokens that came since.
        var count: CK_ULONG = 0
        try check(mintmark_pkcs11_slots(module, nil, &count), "C_GetSlotList")
        count = min(count, CK_ULONG(Self.maximumSlots))
        var slots = [CK_SLOT_ID](repeating: 0, count: Int(count))
        try check(mintmark_pkcs11_slots(module, &slots, &count), "C_GetSlotList")
        var found: [CK_SLOT_ID] = []
        for slot in slots.prefix(Int(clamping: count)) {
            var bytes = [UInt8](repeating: 0, count: 32)
            // Others may be empty, or not answer.
            guard mintmark_pkcs11_label(module, slot, &bytes) == CKR_OK else { continue }
            let padding = bytes.reversed().prefix { $0 == UInt8(ascii: " ") || $0 == 0 }.count
            if Array(label.utf8) == bytes.dropLast(padding) { found.append(slot) }
        }
        guard let slot = found.first else {
            throw .store(.failed(detail: "there is no token with the label '\(label)'"))
        }
        guard found.count == 1 else {
            throw .store(.failed(detail: "there are \(found.count) tokens with the label '\(label)'"))
        }
        return slot
    }

    func openSession(_ slot: CK_SLOT_ID) throws(PKCS11Failure) -> CK_SESSION_HANDLE {
        var session: CK_SESSION_HANDLE = 0
        try check(mintmark_pkcs11_open(module, slot, CKF_RW_SESSION, &session), "C_OpenSession")
        return session
    }

    /// Closes a session; one that is gone is fine.
    func close(_ session: CK_SESSION_HANDLE) { _ = mintmark_pkcs11_close(module, session) }

    /// Logs in; whoever is in already stays in.
    func logIn(_ session: CK_SESSION_HANDLE, pin: [UInt8]) throws(PKCS11Failure) {
        let code = mintmark_pkcs11_login(module, session, pin, CK_ULONG(pin.count))
        if code != CKR_USER_ALREADY_LOGGED_IN { try check(code, "C_Login") }
    }

    /// Finds objects.
    ///
    /// - Parameters:
    ///   - template: What they must have.
    ///   - limit: The most that are looked at.
    ///   - session: A session that is logged in.
    /// - Returns: Their handles.
    /// - Throws: ``PKCS11Failure``.
    func find(
        _ template: [PKCS11Attribute], limit: Int, _ session: CK_SESSION_HANDLE
    ) throws(PKCS11Failure) -> [CK_OBJECT_HANDLE] {
        // Without a login a token shows no private keys, and says nothing of it.
        try check(mintmark_pkcs11_logged_in(module, session), "C_GetSessionInfo")
        let bytes = PKCS11Attribute.template(template)
        var objects = [CK_OBJECT_HANDLE](repeating: 0, count: limit)
        var count = CK_ULONG(limit)
        try check(
            mintmark_pkcs11_find(module, session, bytes, bytes.count, &objects, &count), "C_FindObjects")
        return Array(objects.prefix(Int(clamping: count)))
    }

    /// Reads one attribute of an object; nil when it has none of that type, or does not show it.
    func attribute(
        _ type: CK_ULONG, of object: CK_OBJECT_HANDLE, _ session: CK_SESSION_HANDLE
    ) throws(PKCS11Failure) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: 2048)
        let room = CK_ULONG(bytes.count)
        var length = room
        let code = mintmark_pkcs11_attribute(module, session, object, type, &bytes, &length)
        // Not there, not shown, or longer than anything that is asked for here.
        if code == CKR_ATTRIBUTE_TYPE_INVALID || length > room { return nil }
        try check(code, "C_GetAttributeValue")
        return Array(bytes.prefix(Int(clamping: length)))
    }

    func generate(
        _ session: CK_SESSION_HANDLE, mechanism: CK_ULONG, publicKey: [PKCS11Attribute], privateKey: [PKCS11Attribute]
    ) throws(PKCS11Failure) -> (publicKey: CK_OBJECT_HANDLE, privateKey: CK_OBJECT_HANDLE) {
        let (publicBytes, privateBytes) = (PKCS11Attribute.template(publicKey), PKCS11Attribute.template(privateKey))
        var made: (publicKey: CK_OBJECT_HANDLE, privateKey: CK_OBJECT_HANDLE) = (0, 0)
        let code = mintmark_pkcs11_generate(
            module, session, mechanism, publicBytes, publicBytes.count, privateBytes, privateBytes.count,
            &made.publicKey, &made.privateKey)
        try check(code, "C_GenerateKeyPair")
        return made
    }

    func destroy(_ object: CK_OBJECT_HANDLE, _ session: CK_SESSION_HANDLE) throws(PKCS11Failure) {
        try check(mintmark_pkcs11_destroy(module, session, object), "C_DestroyObject")
    }

    func sign(
        _ data: [UInt8], with key: CK_OBJECT_HANDLE, mechanism: CK_ULONG, _ session: CK_SESSION_HANDLE
    ) throws(PKCS11Failure) -> [UInt8] {
        var signature = [UInt8](repeating: 0, count: 512)
        var length = CK_ULONG(signature.count)
        let code = mintmark_pkcs11_sign(
            module, session, mechanism, key, data, CK_ULONG(data.count), &signature, &length)
        try check(code, "C_Sign")
        return Array(signature.prefix(Int(clamping: length)))
    }

    private func check(_ code: CK_RV, _ function: String) throws(PKCS11Failure) {
        guard code == CKR_OK else { throw .returned(code: code, function: function) }
    }
}
