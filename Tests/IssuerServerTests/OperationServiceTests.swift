import Bootstrap
import Foundation
import GRPCCore
import IssuerAPIProtos
import IssuerDomain
import IssuerServer
import Logging
import SwiftProtobuf
import TestSupport
import Testing

@Suite("What a server says of itself")
struct OperationServiceTests {
    @Test("The log level is changed for the whole process, and goes back")
    func logger() async throws {
        let threshold = LogThreshold(.warning)
        try await AccessServer.run(AccessSettings(logThreshold: threshold)) { access in
            let logger = Spire_Api_Server_Logger_V1_Logger.Client(wrapping: access.local)
            #expect(try await logger.getLogger(.init()).currentLevel == .warn)
            let changed = try await logger.setLogLevel(.with { $0.newLevel = .trace })
            #expect(changed.currentLevel == .trace)
            #expect(changed.launchLevel == .warn)
            #expect(threshold.level == .trace)
            for level: Spire_Api_Types_LogLevel in [.unspecified, .UNRECOGNIZED(99)] {
                try await expectCode(.invalidArgument) {
                    _ = try await logger.setLogLevel(.with { $0.newLevel = level })
                }
            }
            #expect(threshold.level == .trace)
            for level: Spire_Api_Types_LogLevel in [.panic, .fatal] {
                #expect(try await logger.setLogLevel(.with { $0.newLevel = level }).currentLevel == level)
                #expect(threshold.level == .critical)
            }
            #expect(try await logger.resetLogLevel(.init()).currentLevel == .warn)
            #expect(threshold.level == .warning)
        }
    }

    @Test("A handler follows the threshold, and a logger that was told otherwise does not")
    func threshold() {
        let threshold = LogThreshold(.info)
        var (one, other) = (
            LineLogHandler(threshold: threshold, clock: ManualClock()),
            LineLogHandler(threshold: threshold, clock: ManualClock())
        )
        other.logLevel = .error
        threshold.level = .debug
        #expect(one.logLevel == .debug)
        #expect(other.logLevel == .error)
        one.logLevel = .critical
        #expect(threshold.level == .debug)
    }

    @Test("Debug tells the server's SVID, its age and what it holds")
    func debug() async throws {
        try await AccessServer.run(.init()) { access in
            try await access.server.create([.example("/a"), .example("/b")])
            _ = try await access.server.join()
            try await access.server.federate(with: "other.example")
            access.server.clock.advance(by: .seconds(42))
            let info = try await Spire_Api_Server_Debug_V1_Debug.Client(wrapping: access.local).getInfo(.init())
            #expect(info.uptime == 42)
            #expect(info.entriesCount == 2)
            #expect(info.agentsCount == 1)
            #expect(info.federatedBundlesCount == 1)
            #expect(info.svidChain.first?.id.path == "/spire/server")
            #expect(info.svidChain.first.map { $0.expiresAt > 1_800_000_000 } == true)
        }
    }

    @Test("Reflection lists every service that is served, and hands out what declares a symbol with all that it needs")
    func reflection() async throws {
        try await AccessServer.run(.init()) { access in
            let client = Grpc_Reflection_V1_ServerReflection.Client(wrapping: access.local)
            let answers = try await client.serverReflectionInfo { writer in
                try await writer.write(.with { $0.listServices = "" })
                try await writer.write(.with { $0.fileContainingSymbol = "spire.api.server.svid.v1.SVID" })
                try await writer.write(.with { $0.fileContainingSymbol = "spire.api.types.Entry.hint" })
                try await writer.write(.with { $0.fileByFilename = "mintmark/v1/access.proto" })
                try await writer.write(.with { $0.fileContainingSymbol = "no.such.Thing" })
                try await writer.write(.init())
            } onResponse: { response in
                try await response.messages.reduce(into: []) { $0.append($1) }
            }
            try #require(answers.count == 6)
            #expect(answers[0].listServicesResponse.service.map(\.name).contains("mintmark.v1.Audit"))
            let files = try answers[1].fileDescriptorResponse.fileDescriptorProto.map {
                try Google_Protobuf_FileDescriptorProto(serializedBytes: $0)
            }
            #expect(files.first?.name == "spire/api/server/svid/v1/svid.proto")
            for file in files {
                for name in file.dependency { #expect(files.contains { $0.name == name }) }
            }
            #expect(answers[2].fileDescriptorResponse.fileDescriptorProto.count == 1)
            #expect(answers[3].fileDescriptorResponse.fileDescriptorProto.count == 1)
            #expect(answers[4].errorResponse.errorCode == Int32(RPCError.Code.notFound.rawValue))
            #expect(answers[5].errorResponse.errorCode == Int32(RPCError.Code.invalidArgument.rawValue))
        }
    }

    @Test("The limits in force are shown")
    func limits() async throws {
        try await AccessServer.run(.init()) { access in
            let budgets = try await Mintmark_V1_Limits.Client(wrapping: access.local).get(.init()).budgets
            #expect(budgets.map(\.name) == ["attestation", "signing", "reporting", "reading", "querying"])
            #expect(budgets.map(\.perSecond) == [10, 500, 10, 50, 10])
        }
    }

    @Test(
        "One stranger is told from another by an IPv4 address, or by the first half of an IPv6 address",
        arguments: [
            ("ipv4:192.0.2.1:443", "192.0.2.1"), ("ipv6:[2001:db8:1:2:3:4:5:6]:443", "2001:db8:1:2::/64"),
            ("ipv6:[2001:db8::1]:443", "2001:db8:0:0::/64"), ("ipv6:[::1]:443", "0:0:0:0::/64"),
            ("ipv6:[fe80::1%eth0]:443", "fe80:0:0:0::/64"), ("ipv6:[::ffff:192.0.2.1]:443", "192.0.2.1"),
            ("unix:#1", "unix:#1"),
        ])
    func addresses(remotePeer: String, expected: String) {
        #expect(PeerAddress(remotePeer).prefix == expected)
    }
}
