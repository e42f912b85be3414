internal import ArgumentParser
internal import Platform

/// `mintmark`.
struct Mintmark: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mintmark",
        abstract: "Issues SPIFFE identities to processes, and takes them away.",
        discussion: """
            EXAMPLES
              mintmark up --state ~/.mintmark              one machine, one command
              export MINTMARK_STATE=~/.mintmark            where the other commands find it
              mintmark entry create --spiffe-id spiffe://example.org/agents/reviewer \\
                  --selector unix:uid:1000 --selector unix:sha256:$(sha256sum < reviewer | cut -c1-64)
              mintmark svid fetch x509                     what the calling process gets

            EXIT STATUS
              0 done   1 refused or failed   64 usage   69 unreachable   73 cannot create   77 not permitted
              78 configuration
            """,
        version: Version.text,
        subcommands: [
            UpCommand.self, ServerCommand.self, AgentCommand.self, TokenCommand.self, EntryCommand.self,
            DigestSetCommand.self, AuthorityCommand.self, BundleCommand.self, FederationCommand.self, SVIDCommand.self,
            ExplainCommand.self, WhoisCommand.self, DoctorCommand.self,
            AuditCommand.self, ApprovalCommand.self, ContextCommand.self, LoggerCommand.self, DebugCommand.self,
            VerifyServerCommand.self, HealthcheckCommand.self, VersionCommand.self,
        ])
}
