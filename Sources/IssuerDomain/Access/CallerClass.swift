/// What a caller may be, for the table that says who may call what.
package enum CallerClass: String, Hashable, Sendable, CaseIterable {
    /// Anybody who can connect.
    case any
    /// A process on this machine, through the admin socket.
    case local
    /// Somebody over the network who holds a role.
    case admin
    /// A node agent: attested, active, not banned.
    case agent
    /// The holder of an SVID of an entry with downstream set.
    case downstream
}
