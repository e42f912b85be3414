/// What a path asks for.
package enum RequestRoute: Hashable, Sendable {
    /// `/verify`, and everything below: Envoy puts the path of the original request there.
    case verify
    /// `/healthz`.
    case health
    /// Anything else.
    case unknown

    /// Reads a path as it was sent.
    ///
    /// Nothing is decoded or normalised: below `/verify` the path is a stranger's, and `/verify/../healthz` must not
    /// become the one path that answers 200 to everybody.
    ///
    /// - Parameter path: The path with its query; nil for a request without one.
    package init(path: String?) {
        let path = path.map { Array($0.utf8.prefix { $0 != UInt8(ascii: "?") }) } ?? []
        if path.elementsEqual("/verify".utf8) || path.starts(with: "/verify/".utf8) {
            self = .verify
        } else {
            self = path.elementsEqual("/healthz".utf8) ? .health : .unknown
        }
    }
}
