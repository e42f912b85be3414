/// A field that a handler adds to an answer.
package struct ResponseField: Hashable, Sendable {
    /// Lower case.
    package let name: String
    package let value: [UInt8]

    package init(name: String, value: [UInt8]) { (self.name, self.value) = (name, value) }

    /// Whether any bytes may be its value, by the gRPC protocol's rule for names.
    var isBinary: Bool { name.hasSuffix("-bin") }

    /// Whether it has a name that is a handler's to choose, and a value that HTTP/2 takes (RFC 9113 §8.2.1).
    var isSendable: Bool {
        let isOwn = !name.isEmpty && !["grpc-status", "grpc-message", "content-type"].contains(name)
        let isName = name.utf8.allSatisfy { (0x21...0x7E).contains($0) && !(0x41...0x5A).contains($0) && $0 != 0x3A }
        return isOwn && isName && (isBinary || value.allSatisfy { (0x20...0x7E).contains($0) })
    }
}
