internal import Bootstrap
internal import Foundation
internal import GRPCCore
internal import GRPCNIOTransportHTTP2Posix
internal import Platform
internal import SPIFFE
internal import WorkloadIdentity
internal import X509

/// A server somewhere else, and how its admin proves who they are.
struct RemoteServer: Hashable, Sendable {
    /// How an admin proves who they are.
    enum Proof: Hashable, Sendable {
        /// Over TLS, with an X.509-SVID in files.
        case certificate(chain: String, key: String)
        /// Over TLS, with the SVID that a workload endpoint hands out.
        case workload(endpoint: String)
        /// With a token from a file.
        case tokenFile(String)
        /// With the token that a shell command writes.
        case tokenCommand(String)
    }

    let address: ServerAddress
    let trustDomain: TrustDomain
    /// A file with the bundle, PEM or SPIFFE; nil to take what the workload endpoint hands out.
    let trustBundle: String?
    let proof: Proof

    /// What makes calls to the server.
    ///
    /// - Throws: ``Failure`` when something that the context names cannot be read.
    func connection(
        clock: any WallClock, files: any FileSystem
    ) async throws -> (transport: HTTP2ClientTransport.Posix, interceptors: [any ClientInterceptor]) {
        var (identity, bundle) = (TLSIdentity?.none, X509Bundle?.none)
        var interceptors: [any ClientInterceptor] = []
        switch proof {
        case .certificate(let chain, let key):
            identity = try Self.identity(
                X509SVID(pemChain: Self.text(chain, files), pemKey: Self.text(key, files)), chain)
        case .workload(let endpoint): (identity, bundle) = try await Self.fetch(from: endpoint, trustDomain)
        case .tokenFile(let path): interceptors = [TokenBearer(try Self.token(Self.text(path, files), path))]
        case .tokenCommand(let command): interceptors = [TokenBearer(try Self.token(ShellOutput.of(command), command))]
        }
        if let trustBundle {
            bundle = try FirstContact.bundle(trustBundle, of: trustDomain, files: files)?.x509
        }
        guard let bundle else {
            throw Failure(
                .configuration, "no trust bundle for \(trustDomain)", hint: "name one with 'mintmark context add'")
        }
        let transport = try TLSClient.transport(to: address, identity: identity) { presented throws(SPIFFEError) in
            let svid = try X509SVIDVerification.verify(presented, at: clock.now) {
                $0 == bundle.trustDomain ? bundle : nil
            }
            guard svid.id.path == "/spire/server" else {
                throw SPIFFEError(.untrusted, "'\(svid.id)' is not a server of trust domain \(bundle.trustDomain)")
            }
            return svid
        }
        return (transport, interceptors)
    }

    private static func identity(_ svid: X509SVID, _ source: String) throws -> TLSIdentity {
        TLSIdentity(
            chain: try svid.certificates.map { try DERConcatenation.bytes(of: [$0]) },
            key: SecretBytes(Array(svid.privateKeyDER)))
    }

    private static func fetch(
        from endpoint: String, _ trustDomain: TrustDomain
    ) async throws -> (TLSIdentity?, X509Bundle?) {
        let client: WorkloadAPIClient
        do { client = WorkloadAPIClient(endpoint: try WorkloadEndpoint(endpoint)) } catch {
            throw Failure(.configuration, "'\(endpoint)': \(error.message)", hint: "write unix:///path")
        }
        do {
            let update = try await client.fetchX509SVIDs()
            return (try update.svids.first.map { try identity($0, endpoint) }, update.bundles[trustDomain])
        } catch let error as WorkloadAPIError {
            throw Failure(
                .unreachable, "no identity from \(endpoint): \(error.message)",
                hint: "see what this process gets with 'mintmark svid fetch x509'")
        }
    }

    private static func text(_ path: String, _ files: any FileSystem) throws(Failure) -> String {
        let bytes: [UInt8]?
        do { bytes = try files.read(path, limit: 1 << 20) } catch {
            throw Failure(.configuration, "\(error)", hint: "name a file that can be read")
        }
        guard let bytes else { throw Failure(.configuration, "no file at \(path)", hint: "name an existing file") }
        return String(decoding: bytes, as: UTF8.self)
    }

    private static func token(_ text: String, _ source: String) throws(Failure) -> SecretText {
        let line = text.split(whereSeparator: \.isNewline).first.map { $0.trimmingCharacters(in: .whitespaces) } ?? ""
        guard !line.isEmpty, line.utf8.count <= 16 << 10, !line.contains(" ") else {
            throw Failure(.configuration, "\(source) gives no token", hint: "get a new one from its issuer")
        }
        return SecretText(line)
    }
}

/// Shows a bearer token with each call.
private struct TokenBearer: ClientInterceptor {
    private let token: SecretText

    init(_ token: SecretText) { self.token = token }

    func intercept<Input: Sendable, Output: Sendable>(
        request: StreamingClientRequest<Input>, context: ClientContext,
        next: (StreamingClientRequest<Input>, ClientContext) async throws -> StreamingClientResponse<Output>
    ) async throws -> StreamingClientResponse<Output> {
        var request = request
        request.metadata.replaceOrAddString(
            BearerToken.credentials(token.exposed), forKey: BearerToken.header)
        return try await next(request, context)
    }
}

/// What a command of the user's writes on its standard output.
private enum ShellOutput {
    private static let limit = 64 << 10

    static func of(_ command: String) throws -> String {
        let (process, pipe) = (Process(), Pipe())
        process.executableURL = URL(fileURLWithPath: "/bin/sh")
        process.arguments = ["-c", command]
        process.standardOutput = pipe
        process.standardInput = FileHandle.nullDevice
        do { try process.run() } catch {
            throw Failure(.refused, "cannot run '\(command)'", hint: "correct token_command of the context")
        }
        let output = try pipe.fileHandleForReading.read(upToCount: limit) ?? Data()
        try pipe.fileHandleForReading.close()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            throw Failure(
                .refused, "'\(command)' ended with status \(process.terminationStatus)",
                hint: "run it by hand to see why")
        }
        return String(decoding: output, as: UTF8.self)
    }
}
