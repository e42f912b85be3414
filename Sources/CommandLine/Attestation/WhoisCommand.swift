internal import ArgumentParser
internal import Bootstrap
internal import GRPCCore
internal import SwiftProtobuf
package import WorkloadAPIProtos

/// `mintmark whois`.
struct WhoisCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "whois", abstract: "Says which process is behind a local socket, and which identities it holds.",
        discussion: """
            A port stands for the processes of this machine that listen there or have a connection from it; a path for
            those that listen on that Unix socket.

            EXAMPLES
              mintmark whois 8080
              mintmark whois /run/my-service.sock
              mintmark whois inode:48213
            """)

    @OptionGroup var agent: AgentOptions
    @OptionGroup var output: OutputOptions
    @Argument(help: ArgumentHelp("A TCP port, the path of a Unix socket, or inode:N.", valueName: "socket"))
    var socket: SocketName

    func run() async throws {
        let request = Mintmark_V1_FindPeerRequest.with { $0.socket = socket.name }
        let response = try await agent.withAgent { client, metadata, options in
            try await client.findPeer(request, metadata: metadata, options: options)
        }
        output.show(AttestationRendering.peers(response))
        guard !response.peers.isEmpty else {
            throw Failure(
                .refused, "no process of this machine holds that socket",
                hint: "sockets of another network namespace are not seen from here")
        }
    }
}

/// A socket, from the command line.
package struct SocketName: ExpressibleByArgument {
    package let name: Mintmark_V1_FindPeerRequest.OneOf_Socket

    package init?(argument: String) {
        if argument.hasPrefix("/") {
            name = .unixPath(argument)
        } else if argument.hasPrefix("inode:") {
            guard let inode = UInt64(Self.digits(argument.dropFirst("inode:".count))) else { return nil }
            name = .unixInode(inode)
        } else {
            guard let port = UInt16(Self.digits(argument[...])), port > 0 else { return nil }
            name = .tcpPort(UInt32(port))
        }
    }

    /// The text if it is nothing but digits: a number with a sign is a mistake.
    private static func digits(_ text: Substring) -> Substring {
        text.utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) } ? text : ""
    }
}
