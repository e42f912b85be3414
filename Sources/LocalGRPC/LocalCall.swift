internal import GRPCConnections
internal import GRPCCore
internal import NIOCore

/// One call under way; used on its connection's event loop.
final class LocalCall {
    let stream: UInt32
    let request: RequestParts
    /// Waits for a slow reader.
    var writer: CheckedContinuation<Void, Never>?
    private let cancellation = CallCancellation()
    private var task: Task<Void, Never>?

    init(stream: UInt32, request: RequestParts) { (self.stream, self.request) = (stream, request) }

    /// Runs the handler on one of the threads for it.
    func run(
        descriptor: MethodDescriptor, isStreaming: Bool, peer: any ServerContext.TransportSpecific,
        connection: NIOLoopBound<LocalConnection>, handler: @escaping ServedMethods.Handler
    ) {
        let call = NIOLoopBound(self, eventLoop: connection.eventLoop)
        let (parts, cancellation) = (request, cancellation)
        task = Task(executorPreference: LoopExecutor.shared) {
            let stream = RPCStream(
                descriptor: descriptor, inbound: RPCAsyncSequence(wrapping: parts),
                outbound: RPCWriter.Closable(
                    wrapping: ResponseWriter(
                        call: call, connection: connection, isStreaming: isStreaming)))
            await withServerContextRPCCancellationHandle { handle in
                cancellation.begin(handle)
                var context = ServerContext(
                    descriptor: descriptor, remotePeer: "unix:", localPeer: "unix:", cancellation: handle)
                context.transportSpecific = peer
                await handler(stream, context)
            }
            connection.eventLoop.execute { connection.value.finished(call.value) }
        }
    }

    /// Nobody waits for the answer any more.
    func cancel() {
        cancellation.cancel()
        request.fail(RPCError(code: .cancelled, message: "the caller is gone"))
        task?.cancel()
        wake()
    }

    func wake() {
        writer?.resume()
        writer = nil
    }
}
