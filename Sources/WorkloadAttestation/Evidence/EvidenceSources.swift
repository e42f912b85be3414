internal import Foundation
package import LinuxKernel
package import Platform
internal import Synchronization

/// What evidence is read from beside the process itself: one for the whole agent.
package struct EvidenceSources: Sendable {
    package let host: HostAbilities
    /// The exec journal; nil where none can run.
    package let history: (any ExecHistory)?
    package let digests: DigestCache
    package let files: OpenFiles
    package let packages: PackageIndex
    package let services: ServiceLocator
    package let containers: ContainerRuntime
    package let clock: any WallClock
    /// How memory is looked at.
    package let reading: CodeReading
    let names: AccountNameCache
    let awake: AwakeSessions

    package init(
        host: HostAbilities, history: (any ExecHistory)? = nil, digests: DigestCache? = nil,
        packages: PackageIndex = PackageIndex(), services: ServiceLocator = ServiceLocator(),
        containers: ContainerRuntime = ContainerRuntime(), clock: any WallClock = SystemWallClock(),
        reading: CodeReading = .query, awakeSessions: Int = 128
    ) {
        (self.host, self.history) = (host, history)
        self.digests = digests ?? DigestCache(host: host)
        files = OpenFiles()
        (self.packages, self.services, self.containers) = (packages, services, containers)
        (self.clock, self.reading) = (clock, reading)
        names = AccountNameCache(clock: clock)
        awake = AwakeSessions(capacity: awakeSessions)
    }
}

/// Names of accounts, asked of the name service once in some seconds: it may sit behind a network.
final class AccountNameCache: Sendable {
    private struct Kept {
        let naming: AccountNaming
        let expiry: Double
    }

    private let clock: any WallClock
    private let kept = Mutex<[ProcessAccount: Kept]>([:])

    init(clock: any WallClock) { self.clock = clock }

    func names(of account: ProcessAccount) -> AccountNaming {
        let now = clock.now.timeIntervalSince1970
        if let found = kept.withLock({ $0[account] }), found.expiry > now { return found.naming }
        let naming = AccountNaming(
            user: AccountNames.user(account.users.effective), group: AccountNames.group(account.groups.effective),
            supplementaryGroups: account.supplementaryGroups.compactMap { AccountNames.group($0) })
        kept.withLock { kept in
            if kept.count >= 1024 { kept = [:] }
            kept[account] = Kept(naming: naming, expiry: now + 5)
        }
        return naming
    }
}
