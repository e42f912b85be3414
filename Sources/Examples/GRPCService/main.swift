// A gRPC service and its client in their smallest form: both prove who they are, and both check who the other is.
//
// They know nothing of Mintmark: any SPIFFE workload endpoint will do.

import Dispatch
import Foundation
import GRPCCore
import GRPCNIOTransportHTTP2Posix
import Glibc
import SPIFFE
import SwiftProtobuf
import WorkloadIdentity
import WorkloadIdentityGRPC

enum Command {
    case serve(host: String, port: Int, allow: SPIFFEID, audience: String?)
    case call(host: String, port: Int, expect: SPIFFEID, audience: String?, name: String)

    static let usage = """
        usage: example-grpc-service serve --listen HOST:PORT --allow ID [--token-audience NAME]
               example-grpc-service call HOST:PORT --expect ID [--token-audience NAME] [--name NAME]

        example: export SPIFFE_ENDPOINT_SOCKET=unix:///run/mintmark/workload.sock
                 example-grpc-service serve --listen 127.0.0.1:8443 --allow spiffe://example.org/client
                 example-grpc-service call 127.0.0.1:8443 --expect spiffe://example.org/server
        """

    init(_ arguments: [String]) throws {
        var rest = arguments[...]
        let verb = rest.popFirst()
        if verb == "--help" || verb == "-h" {
            print(Self.usage)
            exit(0)
        }
        var words: [String: String] = [:]
        if verb == "call" { words["--to"] = rest.popFirst() }
        while let flag = rest.popFirst() { words[flag] = rest.popFirst() ?? "" }
        let known: Set = verb == "serve" ? ["--listen", "--allow"] : ["--to", "--expect", "--name"]
        guard let address = words[verb == "serve" ? "--listen" : "--to"], let colon = address.lastIndex(of: ":"),
            let port = UInt16(address[colon...].dropFirst()),
            let peer = words[verb == "serve" ? "--allow" : "--expect"],
            verb == "serve" || verb == "call", Set(words.keys).isSubset(of: known.union(["--token-audience"]))
        else { complain(Self.usage, status: 64) }
        let host = address[..<colon].trimmingCharacters(in: ["[", "]"])
        let (id, audience) = (try SPIFFEID(peer), words["--token-audience"])
        self =
            verb == "serve"
            ? .serve(host: host, port: Int(port), allow: id, audience: audience)
            : .call(host: host, port: Int(port), expect: id, audience: audience, name: words["--name"] ?? "you")
    }
}

func complain(_ text: String, status: Int32) -> Never {
    try? FileHandle.standardError.write(contentsOf: Data((text + "\n").utf8))
    exit(status)
}

struct Greeter: Mintmark_Examples_Greeter.SimpleServiceProtocol {
    func sayHello(
        request: Mintmark_Examples_HelloRequest, context: ServerContext
    ) async throws -> Mintmark_Examples_HelloReply {
        // Proven, by the certificate or the token; what the request says of itself is not.
        let caller = try PeerIdentity.required()
        return .with { $0.message = "Hello, \(caller.id), also known as \(request.name)" }
    }
}

/// One element when somebody asks the process to end.
func termination() -> (requests: AsyncStream<Void>, sources: [any DispatchSourceSignal]) {
    let (requests, continuation) = AsyncStream<Void>.makeStream()
    let sources = [SIGTERM, SIGINT].map { number in
        signal(number, SIG_IGN)
        let source = DispatchSource.makeSignalSource(signal: number)
        source.setEventHandler { continuation.yield() }
        source.activate()
        return source
    }
    return (requests, sources)
}

func serve(host: String, port: Int, allow: SPIFFEID, audience: String?) async throws {
    let (requests, signals) = termination()
    let source = try await X509Source.start()
    var proof = CallerProof.certificate
    if let audience {
        proof = .tokenOrCertificate(for: try JWTAudience(audience), source: try await BundleSource.start())
    }
    let transport = SPIFFEServerTransport(host: host, port: port, source: source, authorizing: .id(allow))
    let server = GRPCServer(
        transport: transport, services: [Greeter()],
        interceptors: [PeerIdentityInterceptor(proof, authorizing: .id(allow))])
    try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { try await server.serve() }
        group.addTask {
            // Nothing has to be done at a rotation: new connections use what the source holds. This only tells.
            for await update in source.updates {
                guard let svid = try? update.get().svids.first else { continue }
                tell("\(svid.id), valid until \(svid.validity.upperBound.formatted(.iso8601))")
            }
        }
        group.addTask {
            let address = try await transport.listeningAddress
            tell("listening on \(address.ipv4?.port ?? address.ipv6?.port ?? port)")
            for await _ in requests { return server.beginGracefulShutdown() }
        }
        try await group.next()
        await source.close()
        group.cancelAll()
    }
    withExtendedLifetime(signals) {}
}

func call(host: String, port: Int, expect: SPIFFEID, audience: String?, name: String) async throws {
    let source = try await X509Source.start()
    var interceptors: [any ClientInterceptor] = []
    if let audience {
        interceptors.append(JWTSVIDInterceptor(source: try await JWTSource.start(), audience: audience))
    }
    let transport = try HTTP2ClientTransport.Posix.spiffe(
        host: host, port: port, source: source, authorizing: .id(expect))
    try await withGRPCClient(transport: transport, interceptors: interceptors) { client in
        let greeter = Mintmark_Examples_Greeter.Client(wrapping: client)
        tell(try await greeter.sayHello(.with { $0.name = name }).message)
    }
}

func tell(_ line: String) {
    FileHandle.standardOutput.write(Data((line + "\n").utf8))
}

do {
    switch try Command(Array(CommandLine.arguments.dropFirst())) {
    case .serve(let host, let port, let allow, let audience):
        try await serve(host: host, port: port, allow: allow, audience: audience)
    case .call(let host, let port, let expect, let audience, let name):
        try await call(host: host, port: port, expect: expect, audience: audience, name: name)
    }
} catch let error as RPCError {
    complain("refused: \(error.message)", status: 1)
} catch {
    complain("error: \(error)", status: 1)
}
