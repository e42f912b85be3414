internal import GRPCConnections
internal import NIOCore

/// What one client may cost a server; the defaults suit a service.
public struct ServerLimits: Hashable, Sendable {
    /// How long a client may take to say its first word.
    public var openingSilence: Duration = .seconds(10)

    /// The most calls under way on one connection.
    public var concurrentCalls = 100

    /// The most bytes in one request message.
    public var requestBytes = 4 << 20

    /// After how long a connection is closed as soon as its calls are over; nil for never.
    ///
    /// A connection is judged when it is opened, so this is how long it may outlive the client's certificate, or the entry
    /// behind it. Clients open another at once; a call that is just being sent on the old one may fail with `unavailable`, so
    /// clients should repeat those.
    public var connectionAge: Duration?

    /// Creates the defaults.
    public init() {}

    var peerLimits: PeerLimits {
        PeerLimits(
            openingSilence: TimeAmount(max(openingSilence, .milliseconds(1))), concurrentCalls: max(concurrentCalls, 1),
            requestBytes: max(requestBytes, 0), connectionAge: connectionAge)
    }
}
