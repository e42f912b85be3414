#if Hummingbird
    internal import WorkloadIdentity

    /// The TLS peer of the connection that the present task serves.
    enum ConnectionPeer {
        @TaskLocal static var current: TLSPeer?
    }
#endif
