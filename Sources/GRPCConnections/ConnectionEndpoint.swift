/// Where connections come in.
package enum ConnectionEndpoint: Sendable {
    /// A Unix socket, made at a path and then published by whoever decides who may connect.
    case unix(path: String, publish: @Sendable () throws -> Void)
    /// A TCP address; port 0 takes any.
    case tcp(host: String, port: Int)
}
