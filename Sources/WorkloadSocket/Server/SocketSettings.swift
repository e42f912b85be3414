package import GRPCWire

/// Bounds of the server, which are per user where users could take from each other.
package struct SocketSettings: Sendable {
    /// Threads that serve; more than cores, because handlers may block.
    package var workers: Int
    /// What they may grow to when all are stuck.
    package var workerLimit = 64
    /// Connections of one user.
    package var connectionsPerUser = 16384
    /// Connections in all.
    package var connections: Int
    /// Bytes kept for one user's connections: requests that are not complete, answers that are not read.
    package var bytesPerUser = 64 << 20
    /// What a connection may ask for.
    package var http2 = HTTP2Limits()

    /// How long preface and SETTINGS may take.
    package var openingLimit = Duration.seconds(10)
    /// When a silent peer is asked for a sign of life, and when it is given up.
    package var keepalive = Duration.seconds(40)
    package var silenceLimit = Duration.seconds(90)
    /// How long a request may take to come in, and an answer to be read.
    package var transferLimit = Duration.seconds(30)
    /// How long a challenge may take, and what becomes of the call otherwise.
    package var challengeLimit = Duration.seconds(5)
    package var challengeStatus = CallStatus(.unavailable, "the caller did not answer the liveness challenge")
    /// What calls are told when the agent stops.
    ///
    /// Never `cancelled`, which some clients take for final.
    package var shutdownStatus = CallStatus(.unavailable, "agent is shutting down")
    /// How often deadlines are looked at.
    package var tick = Duration.milliseconds(250)

    /// - Parameters:
    ///   - cores: Processors of the machine.
    ///   - descriptors: The soft limit of open files. A connection needs two: the socket, and the pinned process.
    package init(cores: Int, descriptors: Int) {
        workers = max(4, 2 * cores)
        // Some are left for files that are looked at, and for the rest of the process.
        connections = max(16, (descriptors - max(512, min(descriptors / 8, 1600))) / 2)
        // Some are left for others, whatever one user takes.
        connectionsPerUser = min(connectionsPerUser, connections - max(8, connections / 64))
    }
}
