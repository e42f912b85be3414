internal import Platform

extension TPMSession {
    /// A password of none.
    static let noPassword = Authorization.password(SecretBytes([]))

    /// Makes a key that follows from a hierarchy's seed and a template (TPM2_CreatePrimary).
    ///
    /// - Returns: Its handle, and its public area.
    func createPrimary(
        in hierarchy: UInt32, template: [UInt8], password: SecretBytes
    ) throws(TPMError) -> (handle: UInt32, public: [UInt8]) {
        var answer = try send(
            .createPrimary, handles: [hierarchy], authorizations: [.password(password)], loadsHandle: true
        ) { (writer) throws(TPMFormatError) in try Self.writeCreation(template, to: &writer) }
        let area = try Self.wellFormed(.createPrimary) { () throws(TPMFormatError) in
            try answer.parameters.sized(limit: TPMPublicArea.maximumLength)
        }
        return (try Self.handle(of: answer, .createPrimary), area)
    }

    /// Makes a key below another (TPM2_Create).
    ///
    /// - Returns: What it takes to load it.
    func create(
        below parent: UInt32, template: [UInt8]
    ) throws(TPMError) -> (private: [UInt8], public: [UInt8]) {
        var answer = try send(.create, handles: [parent], authorizations: [Self.noPassword]) {
            (writer) throws(TPMFormatError) in try Self.writeCreation(template, to: &writer)
        }
        return try Self.wellFormed(.create) { () throws(TPMFormatError) in
            let secret = try answer.parameters.sized(limit: TPMBlob.maximumLength)
            return (secret, try answer.parameters.sized(limit: TPMPublicArea.maximumLength))
        }
    }

    /// Loads a key (TPM2_Load).
    func load(private secret: [UInt8], public area: [UInt8], below parent: UInt32) throws(TPMError) -> UInt32 {
        let answer = try send(
            .load, handles: [parent], authorizations: [Self.noPassword], loadsHandle: true
        ) { (writer) throws(TPMFormatError) in
            try writer.sized(secret)
            try writer.sized(area)
        }
        return try Self.handle(of: answer, .load)
    }

    /// Takes a key out of the TPM, so that it can be put back later (TPM2_ContextSave).
    ///
    /// - Returns: The key, sealed by the TPM; of no use to another, or after the next start.
    func save(_ handle: UInt32) throws(TPMError) -> [UInt8] {
        var answer = try send(.saveContext, handles: [handle])
        try flush(handle)
        return answer.parameters.remainder()
    }

    /// Puts a key back (TPM2_ContextLoad).
    func restore(_ context: [UInt8]) throws(TPMError) -> UInt32 {
        try Self.handle(of: send(.loadContext, loadsHandle: true) { $0.append(context) }, .loadContext)
    }

    /// Lets a key state that the TPM holds another (TPM2_Certify).
    ///
    /// - Returns: The statement, and the signature over it.
    func certify(
        _ key: UInt32, password: SecretBytes, by signer: UInt32
    ) throws(TPMError) -> (statement: [UInt8], signature: [UInt8]) {
        var answer = try send(
            .certify, handles: [key, signer], authorizations: [.password(password), Self.noPassword]
        ) { (writer) throws(TPMFormatError) in
            try writer.sized([])
            writer.uint16(TPMNumber.null)
        }
        return try Self.wellFormed(.certify) { () throws(TPMFormatError) in
            let statement = try answer.parameters.sized(limit: 1024)
            return (statement, answer.parameters.remainder())
        }
    }

    /// Hashes in the TPM, so that restricted keys may sign, too, and signs (TPM2_Hash, TPM2_Sign).
    func sign(
        _ bytes: [UInt8], with key: UInt32, password: SecretBytes, scheme: TPMSignatureScheme
    ) throws(TPMError) -> TPMSignature {
        var hashed = try send(.hash) { (writer) throws(TPMFormatError) in
            try writer.sized(bytes)
            writer.uint16(scheme.hash.rawValue)
            writer.uint32(TPMNumber.owner)
        }
        let digest = try Self.wellFormed(.hash) { () throws(TPMFormatError) in
            try hashed.parameters.sized(limit: scheme.hash.size)
        }
        let ticket = hashed.parameters.remainder()
        var signed = try send(.sign, handles: [key], authorizations: [.password(password)]) {
            (writer) throws(TPMFormatError) in
            try writer.sized(digest)
            scheme.write(to: &writer)
            writer.append(ticket)
        }
        return try Self.wellFormed(.sign) { () throws(TPMFormatError) in
            try TPMSignature(parsing: signed.parameters.remainder())
        }
    }

    /// Opens a credential that is made for one key and names another (TPM2_ActivateCredential).
    ///
    /// - Parameters:
    ///   - credential: As an issuer made it.
    ///   - named: The key that it names.
    ///   - endorsementKey: The key that it is made for, which asks for the endorsement hierarchy's password.
    ///   - password: That password.
    /// - Returns: What was in it.
    /// - Throws: ``TPMError``; refused when this TPM does not hold both keys.
    func activate(
        _ credential: TPMCredential, named: UInt32, endorsementKey: UInt32, password: SecretBytes
    ) throws(TPMError) -> [UInt8] {
        let started = try send(.startAuthorizationSession, loadsHandle: true) { (writer) throws(TPMFormatError) in
            writer.uint32(TPMNumber.nullHandle)
            writer.uint32(TPMNumber.nullHandle)
            // Nothing is encrypted or authenticated with it, so the nonce may be any.
            try writer.sized([UInt8](repeating: 0, count: 16))
            try writer.sized([])
            writer.uint8(1)  // a policy session
            writer.uint16(TPMNumber.null)
            writer.uint16(TPMHash.sha256.rawValue)
        }
        let session = try Self.handle(of: started, .startAuthorizationSession)
        _ = try send(
            .policySecret, handles: [TPMNumber.endorsement, session], authorizations: [.password(password)]
        ) { (writer) throws(TPMFormatError) in
            for _ in 0..<3 { try writer.sized([]) }
            writer.uint32(0)
        }
        var answer = try send(
            .activateCredential, handles: [named, endorsementKey],
            authorizations: [Self.noPassword, .session(session)]
        ) { (writer) throws(TPMFormatError) in
            try writer.sized(credential.blob)
            try writer.sized(credential.encryptedSeed)
        }
        forget(session)
        return try Self.wellFormed(.activateCredential) { () throws(TPMFormatError) in
            try answer.parameters.sized(limit: 64)
        }
    }

    /// Reads what lies at an index (TPM2_NV_ReadPublic, TPM2_NV_Read).
    ///
    /// - Returns: The contents; nil when nothing lies there.
    func contents(of index: UInt32) throws(TPMError) -> [UInt8]? {
        let size: Int
        do throws(TPMError) {
            var answer = try send(.readNonvolatilePublic, handles: [index])
            size = try Self.wellFormed(.readNonvolatilePublic) { () throws(TPMFormatError) in
                var area = TPMReader(try answer.parameters.sized(limit: 256))
                _ = try area.bytes(4 + 2 + 4)
                _ = try area.sized(limit: 64)
                return Int(try area.uint16())
            }
        } catch {
            // A handle that is not defined.
            if case .refused(_, code: 0x18B) = error { return nil }
            throw error
        }
        var contents: [UInt8] = []
        while contents.count < size {
            // Every TPM gives away as much at once.
            let part = min(512, size - contents.count)
            let offset = contents.count
            var answer = try send(.readNonvolatile, handles: [index, index], authorizations: [Self.noPassword]) {
                $0.uint16(UInt16(truncatingIfNeeded: part))
                $0.uint16(UInt16(truncatingIfNeeded: offset))
            }
            let read = try Self.wellFormed(.readNonvolatile) { () throws(TPMFormatError) in
                let read = try answer.parameters.sized(limit: part)
                guard read.count == part else { throw TPMFormatError("it gives less than it was asked for") }
                return read
            }
            contents += read
        }
        return contents
    }

    /// No password for the key, nothing sealed into it, no data and no PCRs to go with it.
    private static func writeCreation(_ template: [UInt8], to writer: inout TPMWriter) throws(TPMFormatError) {
        try writer.sized([0, 0, 0, 0])
        try writer.sized(template)
        try writer.sized([])
        writer.uint32(0)
    }

    private static func handle(of answer: Answer, _ command: TPMCommand) throws(TPMError) -> UInt32 {
        guard let handle = answer.handle else { throw .malformed(command, TPMFormatError("it names no handle")) }
        return handle
    }
}
