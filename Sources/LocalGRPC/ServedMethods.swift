internal import GRPCCore
internal import GRPCWire

/// What a server offers, by the indexes of its table, and what runs a call.
struct ServedMethods: Sendable {
    typealias Inbound = RPCAsyncSequence<RPCRequestPart<[UInt8]>, any Error>
    typealias Outbound = RPCWriter<RPCResponsePart<[UInt8]>>.Closable
    typealias Handler = @Sendable (RPCStream<Inbound, Outbound>, ServerContext) async -> Void

    let descriptors: [MethodDescriptor]
    let table: MethodTable
    let handler: Handler

    /// - Parameters:
    ///   - descriptors: Of the methods; one whose kind is not known is taken for one that streams.
    ///   - handler: Runs a call.
    init(_ descriptors: [MethodDescriptor], handler: @escaping Handler) {
        (self.descriptors, self.handler) = (descriptors, handler)
        table = MethodTable(
            descriptors.map {
                .init(
                    "/\($0.fullyQualifiedMethod)", isStreaming: $0.type?.isResponseStreaming ?? true,
                    sendsMany: $0.type?.isRequestStreaming ?? true)
            })
    }
}
