internal import Foundation
package import GRPCConnections
package import GRPCNIOTransportHTTP2Posix
internal import Glibc
package import NIOCore

extension ConnectionAwareTransport {
    /// Creates a transport that listens once it is served, or ends with a ``Failure`` that says why it cannot.
    ///
    /// - Parameters:
    ///   - endpoint: Where to listen.
    ///   - limits: What a peer may cost.
    ///   - security: Whether `accept` puts TLS in front.
    ///   - accept: Runs on the event loop before the first byte is read. A failure closes that connection alone.
    package init(
        endpoint: ListeningEndpoint, limits: PeerLimits, security: HTTP2ServerTransport.ConnectionConfigurator.TLS,
        accept: @escaping @Sendable (any Channel) -> EventLoopFuture<Connection>
    ) {
        self.init(
            endpoint: endpoint.connections, limits: limits, security: security,
            explain: { endpoint.failure(for: $0) }, accept: accept)
    }
}

extension ListeningEndpoint {
    /// Why a server cannot listen, for people.
    package func failure(for error: any Error) -> Failure {
        if let failure = error as? Failure { return failure }
        let reason = (error as? IOError).map { String(cString: strerror($0.errnoCode)).lowercased() } ?? "\(error)"
        return Failure(
            .cannotCreate, "cannot listen on \(self): \(reason)",
            hint: "stop whatever uses it, or choose another address")
    }
}
