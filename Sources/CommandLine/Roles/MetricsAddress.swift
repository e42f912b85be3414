internal import Bootstrap
internal import SPIFFE

/// Where a role hands out metrics.
enum MetricsAddress {
    static let key = ConfigurationKey(
        "metrics",
        help: """
            a block: address (127.0.0.1 unless it says otherwise) and port, where metrics are handed out over HTTP \
            under /metrics in the text format of Prometheus; nowhere when left out
            """)

    /// Reads the block; nil when there is none.
    ///
    /// - Throws: ``Failure`` with status `configuration`.
    static func read(_ file: ConfigurationFile) throws(Failure) -> (host: String, port: Int)? {
        guard let block = try file.block("metrics") else { return nil }
        try block.allow(["address", "port"])
        let host = try block.value("address", "an IP address") {
            IPAddressLiteral.isIPv4($0) || IPAddressLiteral.isIPv6($0) ? $0 : nil
        }
        guard let port = try block.value("port", "a port", { Int($0).flatMap { (0...65535).contains($0) ? $0 : nil } })
        else { throw block.wrong("port", "given") }
        return (host ?? "127.0.0.1", port)
    }
}
