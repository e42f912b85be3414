internal import Glibc
internal import Platform

/// Asks a TPM, and sees to it that nothing is left in it.
///
/// The TPM is believed as far as its answers parse; what it proves is for the issuer to judge.
package final class TPMSession {
    /// What a command is authorized with.
    enum Authorization {
        case password(SecretBytes)
        case session(UInt32)
    }

    /// What came back, after the header and the sizes.
    struct Answer {
        var handle: UInt32?
        var parameters: TPMReader
    }

    private static let maximumAttempts = 20
    private static let pause: UInt32 = 200_000

    private let transport: any TPMTransport
    private var loaded: [UInt32] = []

    package init(_ transport: any TPMTransport) { self.transport = transport }

    /// Runs a body, and flushes what it has loaded, whatever comes of it.
    package func run<Value>(_ body: (TPMSession) throws(TPMError) -> Value) throws(TPMError) -> Value {
        defer { for handle in loaded { try? flush(handle) } }
        return try body(self)
    }

    /// Takes a key or session out of the TPM.
    package func flush(_ handle: UInt32) throws(TPMError) {
        loaded.removeAll { $0 == handle }
        _ = try send(.flushContext) { $0.uint32(handle) }
    }

    /// Notes that the TPM has flushed something by itself.
    func forget(_ handle: UInt32) { loaded.removeAll { $0 == handle } }

    /// Sends a command.
    ///
    /// - Parameters:
    ///   - command: Which.
    ///   - handles: What it works on.
    ///   - authorizations: One for each handle that needs one, in order.
    ///   - loadsHandle: Whether it makes something that must be flushed.
    ///   - parameters: Writes the rest.
    /// - Returns: What the TPM says to it.
    /// - Throws: ``TPMError``.
    func send(
        _ command: TPMCommand, handles: [UInt32] = [], authorizations: [Authorization] = [], loadsHandle: Bool = false,
        parameters: (inout TPMWriter) throws(TPMFormatError) -> Void = { _ in }
    ) throws(TPMError) -> Answer {
        let bytes = try Self.wellFormed(command) { () throws(TPMFormatError) in
            try Self.bytes(command, handles, authorizations, parameters)
        }
        var reader = try answer(to: bytes, command)
        var handle: UInt32?
        if loadsHandle {
            let number = try Self.wellFormed(command) { () throws(TPMFormatError) in try reader.uint32() }
            loaded.append(number)
            handle = number
        }
        guard !authorizations.isEmpty else { return Answer(handle: handle, parameters: reader) }
        let content = try Self.wellFormed(command) { () throws(TPMFormatError) in
            try reader.bytes(Int(try reader.uint32()))
        }
        return Answer(handle: handle, parameters: TPMReader(content))
    }

    /// Runs what parses or writes a part of a command.
    static func wellFormed<Value>(
        _ command: TPMCommand, _ body: () throws(TPMFormatError) -> Value
    ) throws(TPMError) -> Value {
        do throws(TPMFormatError) { return try body() } catch { throw .malformed(command, error) }
    }

    /// Sends a command until the TPM has time for it.
    ///
    /// - Returns: What follows the header.
    private func answer(to bytes: [UInt8], _ command: TPMCommand) throws(TPMError) -> TPMReader {
        for attempt in 1...Self.maximumAttempts {
            var reader = TPMReader(try transport.exchange(bytes))
            let code = try Self.wellFormed(command) { () throws(TPMFormatError) in
                let tag = try reader.uint16()
                guard tag == TPMNumber.noSessions || tag == TPMNumber.sessions else {
                    throw TPMFormatError("the answer is not one of a TPM 2.0")
                }
                _ = try reader.uint32()
                return try reader.uint32()
            }
            if code == 0 { return reader }
            guard Self.isBusy(code), attempt < Self.maximumAttempts else {
                throw .refused(command, code: code)
            }
            usleep(Self.pause)
        }
        preconditionFailure("the last attempt returns or throws")
    }

    /// Whether an error says that the TPM has no time or room now, but will have (TPM 2.0 Part 2 §6.6.3): yielded, testing,
    /// simply not now, or no memory or handle free as long as others use theirs.
    private static func isBusy(_ code: UInt32) -> Bool {
        [0x908, 0x90A, 0x922].contains(code) || (0x902...0x906).contains(code)
    }

    private static func bytes(
        _ command: TPMCommand, _ handles: [UInt32], _ authorizations: [Authorization],
        _ parameters: (inout TPMWriter) throws(TPMFormatError) -> Void
    ) throws(TPMFormatError) -> [UInt8] {
        var body = TPMWriter()
        for handle in handles { body.uint32(handle) }
        if !authorizations.isEmpty {
            var area = TPMWriter()
            for authorization in authorizations { try write(authorization, to: &area) }
            body.uint32(UInt32(truncatingIfNeeded: area.bytes.count))
            body.append(area.bytes)
        }
        try parameters(&body)
        var whole = TPMWriter()
        whole.uint16(authorizations.isEmpty ? TPMNumber.noSessions : TPMNumber.sessions)
        whole.uint32(UInt32(truncatingIfNeeded: body.bytes.count + 10))
        whole.uint32(command.rawValue)
        whole.append(body.bytes)
        guard whole.bytes.count <= TPMConnection.maximumAnswer else { throw TPMFormatError("the command is too long") }
        return whole.bytes
    }

    /// An authorization with no nonce of ours, and a session that ends with the command (TPM 2.0 Part 2 §10.13.2).
    private static func write(_ authorization: Authorization, to writer: inout TPMWriter) throws(TPMFormatError) {
        let (handle, password) =
            switch authorization {
            case .password(let password): (TPMNumber.password, password.exposed)
            case .session(let handle): (handle, [])
            }
        writer.uint32(handle)
        try writer.sized([])
        writer.uint8(0)
        try writer.sized(password)
    }
}
