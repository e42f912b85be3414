internal import Glibc

/// How many files and sockets this process may have open.
package enum DescriptorLimit {
    /// The soft limit now.
    package static var current: Int {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return 1024 }
        return Int(clamping: limit.rlim_cur)
    }

    /// What a node agent for many workloads wants; each connection needs two.
    private static let wanted: UInt = 1 << 19

    /// Raises the soft limit to the hard one, and that as well where this process may.
    package static func raise() {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
        if limit.rlim_max < wanted {
            var higher = rlimit(rlim_cur: wanted, rlim_max: wanted)
            // Refused without CAP_SYS_RESOURCE, and above fs.nr_open.
            if setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &higher) == 0 { return }
        }
        limit.rlim_cur = min(limit.rlim_max, 1 << 20)
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    }
}
