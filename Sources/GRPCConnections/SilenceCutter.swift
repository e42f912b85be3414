package import NIOCore

/// Closes connections of peers that say nothing.
///
/// A live HTTP/2 peer answers keepalive pings, so a quiet stream outlives any limit above the ping interval; a peer
/// that is gone, or never meant to speak, is cut. (gRPC's own limits only ask such a peer to leave, and wait.)
package final class SilenceCutter: ChannelInboundHandler {
    package typealias InboundIn = ByteBuffer
    package typealias InboundOut = ByteBuffer

    private let opening: TimeAmount
    private let later: TimeAmount
    private var lastRead: NIODeadline?
    private var check: Scheduled<Void>?

    /// Creates a cutter.
    ///
    /// - Parameters:
    ///   - opening: How long a peer may take to say its first word.
    ///   - later: How long it may be silent after that.
    package init(opening: TimeAmount, later: TimeAmount) { (self.opening, self.later) = (opening, later) }

    package func handlerAdded(context: ChannelHandlerContext) { schedule(in: opening, context: context) }

    package func handlerRemoved(context: ChannelHandlerContext) { check?.cancel() }

    package func channelInactive(context: ChannelHandlerContext) {
        check?.cancel()
        context.fireChannelInactive()
    }

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        lastRead = .now()
        context.fireChannelRead(data)
    }

    private func schedule(in delay: TimeAmount, context: ChannelHandlerContext) {
        check = context.eventLoop.assumeIsolated().scheduleTask(in: delay) {
            guard let lastRead = self.lastRead else { return context.close(promise: nil) }
            let rest = lastRead + self.later - .now()
            guard rest > .zero else { return context.close(promise: nil) }
            self.schedule(in: rest, context: context)
        }
    }
}
