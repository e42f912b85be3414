internal import GRPCCore

/// A transport whose handlers are told the caller in the words of this server, whatever carried the call.
struct IdentifyingTransport<Base: ServerTransport>: ServerTransport {
    typealias Bytes = Base.Bytes

    private let base: Base
    private let identify: @Sendable ((any ServerContext.TransportSpecific)?) -> Caller?

    init(_ base: Base, identify: @escaping @Sendable ((any ServerContext.TransportSpecific)?) -> Caller?) {
        (self.base, self.identify) = (base, identify)
    }

    func configure(context: GRPCServerContext) { base.configure(context: context) }

    func beginGracefulShutdown() { base.beginGracefulShutdown() }

    func listen(
        streamHandler: @escaping @Sendable (RPCStream<Inbound, Outbound>, ServerContext) async -> Void
    ) async throws {
        try await base.listen { stream, context in
            var context = context
            context.transportSpecific = identify(context.transportSpecific)
            await streamHandler(stream, context)
        }
    }
}
