internal import CPKCS11
internal import Dispatch
internal import Foundation
package import IssuerDomain
package import Platform

/// Signing keys in a token behind a PKCS #11 module: made there, used there, and never to be extracted.
package final class PKCS11KeyStore: SigningKeyStore {
    private let token: PKCS11Token
    /// A token may think for seconds, and must not keep a thread from other tasks meanwhile.
    private let queue = DispatchQueue(label: "mintmark.pkcs11")

    /// The most private keys of a token that are looked at.
    private static let maximumKeys = 4096

    /// Opens a token and logs in.
    ///
    /// - Parameters:
    ///   - module: The path of the module, a shared library.
    ///   - tokenLabel: The label that the token was initialized with.
    ///   - pinFile: The file with the user PIN, on one line.
    ///   - files: How to read it.
    /// - Throws: `loginRefused`, or `failed` when there is no such module or token.
    package init(module: String, tokenLabel: String, pinFile: String, files: any FileSystem) throws(KeyStoreError) {
        token = try PKCS11Token(modulePath: module, label: tokenLabel, pinFile: pinFile, files: files)
    }

    package var outlivesProcess: Bool { true }

    package func generate(_ name: String, type: SigningKeyType) async throws(KeyStoreError) -> any SigningKey {
        try KeyName.check(name)
        return try await aside { [self] () throws(KeyStoreError) in
            try token.use { session throws(PKCS11Failure) in
                guard try token.privateKey(Self.label(name), session) == nil else {
                    throw .store(.failed(detail: "a key named '\(name)' exists already"))
                }
                let template = Self.template(name: name, type: type)
                let made = try token.module.generate(
                    session, mechanism: template.mechanism, publicKey: template.publicKey,
                    privateKey: template.privateKey)
                do throws(PKCS11Failure) { try keepsSecret(made.privateKey, name: name, session) } catch {
                    try token.module.destroy(made.privateKey, session)
                    try token.module.destroy(made.publicKey, session)
                    throw error
                }
            }
            return try open(name)
        }
    }

    package func key(_ name: String) async throws(KeyStoreError) -> any SigningKey {
        try KeyName.check(name)
        return try await aside { [self] () throws(KeyStoreError) in try open(name) }
    }

    package func names() async throws(KeyStoreError) -> [String] {
        try await aside { [token] () throws(KeyStoreError) in
            try token.use { session throws(PKCS11Failure) in
                let found = try token.module.find(
                    [.number(CKA_CLASS, CKO_PRIVATE_KEY)], limit: Self.maximumKeys, session)
                var names: [String] = []
                for object in found {
                    guard let label = try token.module.attribute(CKA_LABEL, of: object, session),
                        let text = String(validating: label, as: UTF8.self), text.hasPrefix(Self.label(""))
                    else { continue }
                    names.append(String(text.dropFirst(Self.label("").count)))
                }
                return names.sorted()
            }
        }
    }

    package func delete(_ name: String) async throws(KeyStoreError) {
        try KeyName.check(name)
        try await aside { [token] () throws(KeyStoreError) in
            defer { token.forgetKey(Self.label(name)) }
            try token.use { session throws(PKCS11Failure) in
                for type in [CKO_PRIVATE_KEY, CKO_PUBLIC_KEY] {
                    let found = try token.module.find(
                        [.number(CKA_CLASS, type), .bytes(CKA_LABEL, Array(Self.label(name).utf8))], limit: 16, session)
                    for object in found { try token.module.destroy(object, session) }
                }
            }
        }
    }

    /// What a key is called in the token, where there may be others' keys.
    static func label(_ name: String) -> String { "mintmark:\(name)" }

    private func open(_ name: String) throws(KeyStoreError) -> TokenSigningKey {
        let publicKey = try token.use { session throws(PKCS11Failure) in
            guard let handle = try token.privateKey(Self.label(name), session) else {
                throw .store(.missing(name: name))
            }
            try keepsSecret(handle, name: name, session)
            let found = try token.module.find(
                [.number(CKA_CLASS, CKO_PUBLIC_KEY), .bytes(CKA_LABEL, Array(Self.label(name).utf8))], limit: 2, session
            )
            guard found.count == 1, let object = found.first else { throw .store(.damaged(name: name)) }
            return try readPublicKey(object, name: name, session)
        }
        let key = TokenSigningKey(name: name, publicKey: publicKey, token: token)
        // Two objects of one label need not be halves of one key.
        let probe = Data("the two halves of '\(name)' belong together".utf8)
        guard publicKey.isValid(try key.signature(for: probe), for: probe) else { throw .damaged(name: name) }
        return key
    }

    private func readPublicKey(
        _ object: CK_OBJECT_HANDLE, name: String, _ session: CK_SESSION_HANDLE
    ) throws(PKCS11Failure) -> TokenPublicKey {
        let module = token.module
        var key: TokenPublicKey?
        if let modulus = try module.attribute(CKA_MODULUS, of: object, session),
            let exponent = try module.attribute(CKA_PUBLIC_EXPONENT, of: object, session)
        {
            key = TokenPublicKey(modulus: modulus, exponent: exponent)
        } else if let parameters = try module.attribute(CKA_EC_PARAMS, of: object, session),
            let point = try module.attribute(CKA_EC_POINT, of: object, session)
        {
            key = TokenPublicKey(parameters: parameters, point: point)
        }
        guard let key else { throw .store(.damaged(name: name)) }
        return key
    }

    /// Refuses a key that the token would hand out.
    private func keepsSecret(
        _ key: CK_OBJECT_HANDLE, name: String, _ session: CK_SESSION_HANDLE
    ) throws(PKCS11Failure) {
        for (type, wanted) in [
            (CKA_SENSITIVE, UInt8(1)), (CKA_ALWAYS_SENSITIVE, 1), (CKA_EXTRACTABLE, 0), (CKA_NEVER_EXTRACTABLE, 1),
        ] where try token.module.attribute(type, of: key, session) != [wanted] {
            throw .store(.failed(detail: "the token would let key '\(name)' out, or has done so"))
        }
    }

    private static func template(
        name: String, type: SigningKeyType
    ) -> (mechanism: CK_ULONG, publicKey: [PKCS11Attribute], privateKey: [PKCS11Attribute]) {
        let label = Array(label(name).utf8)
        let both: [PKCS11Attribute] = [
            .flag(CKA_TOKEN, true), .bytes(CKA_LABEL, label), .bytes(CKA_ID, Array(name.utf8)),
        ]
        let size: [PKCS11Attribute]
        let mechanism: CK_ULONG
        switch type {
        case .ecP256: (mechanism, size) = (CKM_EC_KEY_PAIR_GEN, [.bytes(CKA_EC_PARAMS, TokenPublicKey.p256Parameters)])
        case .ecP384: (mechanism, size) = (CKM_EC_KEY_PAIR_GEN, [.bytes(CKA_EC_PARAMS, TokenPublicKey.p384Parameters)])
        case .rsa2048: (mechanism, size) = (CKM_RSA_PKCS_KEY_PAIR_GEN, rsaSize(2048))
        case .rsa4096: (mechanism, size) = (CKM_RSA_PKCS_KEY_PAIR_GEN, rsaSize(4096))
        }
        return (
            mechanism, both + [.flag(CKA_VERIFY, true)] + size,
            both + [
                .flag(CKA_PRIVATE, true), .flag(CKA_SENSITIVE, true), .flag(CKA_EXTRACTABLE, false),
                .flag(CKA_SIGN, true),
            ]
        )
    }

    private static func rsaSize(_ bits: CK_ULONG) -> [PKCS11Attribute] {
        [.number(CKA_MODULUS_BITS, bits), .bytes(CKA_PUBLIC_EXPONENT, [0x01, 0x00, 0x01])]
    }

    private func aside<Value: Sendable>(
        _ body: @escaping @Sendable () throws(KeyStoreError) -> Value
    ) async throws(KeyStoreError) -> Value {
        let result = await withCheckedContinuation { continuation in
            queue.async { continuation.resume(returning: Result { () throws(KeyStoreError) in try body() }) }
        }
        return try result.get()
    }
}
