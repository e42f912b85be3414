internal import NIOCore

/// An accepted channel that answers with a name of its own when asked for its remote address.
///
/// The accepted end of a Unix socket has no remote address, so all of them look alike to gRPC. The name is made here,
/// used once, and never on the wire: nothing a peer can choose.
final class NamedChannel: Channel {
    private let base: any Channel
    private let name: NIOCore.SocketAddress
    private let onAsked: @Sendable () -> Void

    /// Wraps a channel.
    ///
    /// - Parameters:
    ///   - base: The channel.
    ///   - name: Its name.
    ///   - onAsked: Called when somebody asks for the name, which only the transport does that has taken it over.
    init(_ base: any Channel, name: NIOCore.SocketAddress, onAsked: @escaping @Sendable () -> Void) {
        (self.base, self.name, self.onAsked) = (base, name, onAsked)
    }

    var remoteAddress: NIOCore.SocketAddress? {
        onAsked()
        return name
    }

    var allocator: ByteBufferAllocator { base.allocator }
    var closeFuture: EventLoopFuture<Void> { base.closeFuture }
    var pipeline: ChannelPipeline { base.pipeline }
    var localAddress: NIOCore.SocketAddress? { base.localAddress }
    var parent: (any Channel)? { base.parent }
    var isWritable: Bool { base.isWritable }
    var isActive: Bool { base.isActive }
    var eventLoop: any EventLoop { base.eventLoop }
    var _channelCore: any ChannelCore { base._channelCore }
    var syncOptions: (any NIOSynchronousChannelOptions)? { base.syncOptions }

    func setOption<Option: ChannelOption>(_ option: Option, value: Option.Value) -> EventLoopFuture<Void> {
        base.setOption(option, value: value)
    }

    func getOption<Option: ChannelOption>(_ option: Option) -> EventLoopFuture<Option.Value> { base.getOption(option) }
}
