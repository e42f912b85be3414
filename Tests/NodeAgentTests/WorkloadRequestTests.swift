import GRPCWire
import LinuxKernel
import NodeAgent
import SPIFFE
import SwiftProtobuf
import Testing
import WorkloadAPIProtos
import WorkloadSocket

@Suite("Requests to the Workload API")
struct WorkloadRequestTests {
    private static func jwt(_ audience: [String], id: String = "") throws -> [UInt8] {
        let request = WorkloadJWTSVIDRequest.with {
            $0.audience = audience
            $0.spiffeID = id
        }
        return try request.serializedBytes()
    }

    private static func validation(_ token: String, _ audience: String) throws -> [UInt8] {
        let request = WorkloadValidateJWTSVIDRequest.with {
            $0.svid = token
            $0.audience = audience
        }
        return try request.serializedBytes()
    }

    @Test("Empty messages are questions where there is nothing to say")
    func empty() throws {
        guard case .x509SVID = try WorkloadRequest(.fetchX509SVID, bytes: []) else { throw Unexpected() }
        guard case .x509Bundles = try WorkloadRequest(.fetchX509Bundles, bytes: []) else { throw Unexpected() }
        guard case .jwtBundles = try WorkloadRequest(.fetchJWTBundles, bytes: []) else { throw Unexpected() }
    }

    @Test("Audiences and an identity are read as they are")
    func token() throws {
        let id = "spiffe://example.org/a"
        guard
            case .jwtSVID(let audience, let asked) = try WorkloadRequest(
                .fetchJWTSVID, bytes: try Self.jwt(["a", "b", "a"], id: id))
        else { throw Unexpected() }
        #expect(audience == ["a", "b", "a"])
        #expect(asked == (try SPIFFEID(id)))
        guard case .jwtSVID(_, nil) = try WorkloadRequest(.fetchJWTSVID, bytes: try Self.jwt(["a"])) else {
            throw Unexpected()
        }
        guard
            case .validateJWTSVID("t", "a") = try WorkloadRequest(
                .validateJWTSVID, bytes: try Self.validation("t", "a"))
        else { throw Unexpected() }
    }

    @Test("Bounds hold at their edge")
    func bounds() throws {
        let longest = String(repeating: "x", count: 2048)
        _ = try WorkloadRequest(.fetchJWTSVID, bytes: try Self.jwt(Array(repeating: longest, count: 64)))
        Self.refused(.invalidArgument, .fetchJWTSVID, try Self.jwt([longest + "x"]))
        // Bytes, not characters.
        Self.refused(.invalidArgument, .fetchJWTSVID, try Self.jwt([String(repeating: "\u{e9}", count: 1025)]))
        Self.refused(.invalidArgument, .fetchJWTSVID, try Self.jwt(Array(repeating: "x", count: 65)))
    }

    @Test("What is missing or malformed is refused by its name")
    func bad() throws {
        Self.refused(.invalidArgument, .fetchJWTSVID, [], saying: "audience")
        Self.refused(.invalidArgument, .fetchJWTSVID, try Self.jwt([""]), saying: "audience")
        Self.refused(.invalidArgument, .fetchJWTSVID, try Self.jwt(["a", ""]), saying: "audience")
        for id in ["spiffe://", "x", "spiffe://example.org/", "spiffe://EXAMPLE.org/a", "https://example.org/a"] {
            Self.refused(.invalidArgument, .fetchJWTSVID, try Self.jwt(["a"], id: id), saying: "SPIFFE ID")
        }
        Self.refused(.invalidArgument, .validateJWTSVID, try Self.validation("t", ""), saying: "audience")
        Self.refused(.invalidArgument, .validateJWTSVID, try Self.validation("", "a"), saying: "svid")
        for method in [WorkloadMethod.fetchWITSVID, .fetchWITBundles] {
            Self.refused(.unimplemented, method, [], saying: "WIT-SVID")
        }
    }

    @Test(
        "Bytes that are no message are refused by every method",
        arguments: WorkloadMethod.allCases, [[0x0A, 0x05, 0x61], [0x0A], [0xFF], [0x0A, 0x01, 0xFF], [0x80, 0x80]])
    func garbage(_ method: WorkloadMethod, bytes: [UInt8]) {
        // A method without fields may pass over what it does not know; none may trap or serve a half-read request.
        do throws(CallStatus) {
            let request = try WorkloadRequest(method, bytes: bytes)
            switch request {
            case .x509SVID, .x509Bundles, .jwtBundles: break
            case .jwtSVID, .validateJWTSVID: Issue.record("\(request)")
            }
        } catch { #expect([.invalidArgument, .unimplemented].contains(error.code)) }
    }

    private static func refused(
        _ code: CallStatus.Code, _ method: WorkloadMethod, _ bytes: [UInt8], saying text: String = ""
    ) {
        do throws(CallStatus) {
            let request = try WorkloadRequest(method, bytes: bytes)
            Issue.record("\(request)")
        } catch {
            #expect(error.code == code)
            #expect(text.isEmpty || error.message.contains(text), "\(error.message)")
        }
    }
}

private struct Unexpected: Error {}

@Suite("Methods of the agent's sockets")
struct ServedMethodTests {
    @Test("Each has a path of its own, and the table's numbers are theirs")
    func table() {
        let paths = ServedMethod.table.methods.map(\.path)
        #expect(Set(paths).count == paths.count)
        #expect(paths.count == ServedMethod.all.count)
        for (index, method) in ServedMethod.all.enumerated() {
            #expect(ServedMethod.name(index) == paths[index])
            switch method {
            case .workload(let method):
                #expect(paths[index] == "/SpiffeWorkloadAPI/\(method.rawValue)")
                #expect(ServedMethod.table.methods[index].isStreaming == method.isStreaming)
            case .attestation(let method):
                #expect(paths[index] == "/mintmark.v1.Attestation/\(method.rawValue)")
                #expect(!ServedMethod.table.methods[index].isStreaming)
            case .healthCheck: #expect(paths[index] == "/grpc.health.v1.Health/Check")
            case .healthWatch: #expect(ServedMethod.table.methods[index].isStreaming)
            }
        }
    }

    @Test("A number that is none has no name", arguments: [-1, Int.max, Int.min, ServedMethod.all.count])
    func outside(_ index: Int) { #expect(ServedMethod.name(index).isEmpty) }

    @Test("All but health ask for the security header (WLEP-09), which the table keeps")
    func header() {
        #expect(ServedMethod.table.metadata == ["workload.spiffe.io"])
        let free = ServedMethod.all.indices.filter { !ServedMethod.all[$0].needsSecurityHeader }.map(ServedMethod.name)
        #expect(free == ["/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch"])
    }

    @Test(
        "An ordinary user may ask about processes that are wholly its own",
        arguments: [
            (7, 7, 7, 7, true), (0, 7, 7, 7, false), (7, 0, 7, 7, false), (7, 7, 0, 7, false), (7, 7, 7, 0, false),
            (8, 8, 8, 8, false),
        ] as [(UInt32, UInt32, UInt32, UInt32, Bool)])
    func permission(real: UInt32, effective: UInt32, saved: UInt32, fileSystem: UInt32, may: Bool) {
        let users = ProcessStatus.IDs(real: real, effective: effective, saved: saved, fileSystem: fileSystem)
        #expect(Asker(uid: 7, isAdmin: false).mayExamine(users) == may)
        #expect(Asker(uid: 7, isAdmin: true).mayExamine(users))
        // To be root gives nothing on a socket that is everybody's.
        #expect(!Asker(uid: 0, isAdmin: false).mayExamine(users))
    }
}
