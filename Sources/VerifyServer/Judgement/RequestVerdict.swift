package import WorkloadIdentity

/// What is answered to a proxy that asks about a request.
package enum RequestVerdict: Sendable {
    /// The caller is proven, and may go on.
    case allowed(PeerIdentity)
    /// The caller is not proven, may not go on, or cannot be judged.
    case refused(PeerRefusal)
}
