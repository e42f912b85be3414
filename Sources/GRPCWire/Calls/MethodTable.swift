/// The methods that are served, and the metadata that their handlers may ask for.
package struct MethodTable: Sendable {
    package struct Method: Hashable, Sendable {
        /// As in `:path`, such as `/package.Service/Method`.
        package let path: String
        /// Whether messages may be sent as long as the call is open; ``WorkloadConnection/poke()`` is about these only.
        package let isStreaming: Bool
        /// Whether the request is any number of messages, which are given out one by one; otherwise it is exactly one.
        package let sendsMany: Bool

        package init(_ path: String, isStreaming: Bool = false, sendsMany: Bool = false) {
            (self.path, self.isStreaming, self.sendsMany) = (path, isStreaming, sendsMany)
        }
    }

    package let methods: [Method]
    /// Lower-case names of the fields that calls keep.
    package let metadata: [String]
    /// The same as bytes.
    private let paths: [[UInt8]]
    private let names: [[UInt8]]

    package init(_ methods: [Method], metadata: [String] = []) {
        self.methods = methods
        self.metadata = metadata
        paths = methods.map { Array($0.path.utf8) }
        names = metadata.map { Array($0.utf8) }
    }

    /// Which method a path names, byte for byte.
    func method(at path: borrowing Span<UInt8>) -> Int? { Self.index(of: path, in: paths) }

    func metadata(named name: borrowing Span<UInt8>) -> Int? { Self.index(of: name, in: names) }

    private static func index(of bytes: borrowing Span<UInt8>, in list: [[UInt8]]) -> Int? {
        for index in list.indices where bytes.equals(list[index]) { return index }
        return nil
    }
}
