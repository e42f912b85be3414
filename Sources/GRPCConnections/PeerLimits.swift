internal import GRPCCore
internal import GRPCNIOTransportHTTP2Posix
package import NIOCore

/// What one peer may cost a server.
package struct PeerLimits: Hashable, Sendable {
    /// How long it may take to say its first word.
    package var openingSilence: TimeAmount
    /// How long it may be silent after that; above `keepalive` and its time-out, so that live peers are never cut.
    package var silence: TimeAmount
    /// How often a quiet peer is asked whether it is still there.
    package var keepalive: Duration
    /// Calls under way on one connection.
    package var concurrentCalls: Int
    /// Bytes in one request message.
    package var requestBytes: Int
    /// Connections open at once, in all and from one IPv4 address or one IPv6 network of 64 bits; nil for no limit.
    package var connections: Int?
    package var connectionsOfOne: Int?

    /// After how long a connection is closed as soon as its calls are over; nil for never.
    package var connectionAge: Duration?

    package init(
        openingSilence: TimeAmount = .seconds(10), silence: TimeAmount = .seconds(90),
        keepalive: Duration = .seconds(40), concurrentCalls: Int, requestBytes: Int, connectionAge: Duration? = nil
    ) {
        self.openingSilence = openingSilence
        self.silence = silence
        self.keepalive = keepalive
        self.concurrentCalls = concurrentCalls
        self.requestBytes = requestBytes
        self.connectionAge = connectionAge
    }

    /// The same, as the stock transport takes it.
    func configuration<Factory>() -> HTTP2ServerTransport.Custom<Factory>.Config {
        var configuration = HTTP2ServerTransport.Custom<Factory>.Config.defaults
        configuration.http2.maxConcurrentStreams = concurrentCalls
        configuration.rpc.maxRequestPayloadSize = requestBytes
        configuration.connection.maxAge = connectionAge
        configuration.connection.keepalive.time = keepalive
        configuration.connection.keepalive.timeout = .seconds(20)
        // Clients that ping every ten seconds, as some do by default, are not troublemakers.
        configuration.connection.keepalive.clientBehavior = .init(
            minPingIntervalWithoutCalls: .seconds(9), allowWithoutCalls: true)
        return configuration
    }
}
