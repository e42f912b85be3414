package import GRPCWire
internal import Synchronization

/// One call.
///
/// All of it may be used from any thread; what is sent after the call's end is dropped.
package final class WorkloadCall: Sendable {
    package let connection: WorkloadConnection
    /// Index in the method table.
    package let method: Int
    /// The request message.
    package let message: [UInt8]
    /// When the caller stops waiting, by its own word.
    package let deadline: SuspendingClock.Instant?

    let stream: UInt32
    private let metadata: [(index: Int, value: [UInt8])]
    private let slot = Mutex<(any Sendable & AnyObject)?>(nil)

    init(
        _ call: HTTP2Connection.IncomingCall, stream: UInt32, connection: WorkloadConnection,
        now: SuspendingClock.Instant
    ) {
        (self.stream, self.connection) = (stream, connection)
        (method, message, metadata) = (call.method, call.message, call.metadata)
        deadline = call.timeout.map { now.advanced(by: $0) }
    }

    /// Something of the handler's own, such as the evidence of the present round.
    package var context: (any Sendable & AnyObject)? {
        get { slot.withLock { $0 } }
        set { slot.withLock { $0 = newValue } }
    }

    /// The values of a field, in order.
    ///
    /// - Parameter index: Which of the names in the method table's `metadata`.
    /// - Returns: Empty when the request did not have it.
    package func metadata(_ index: Int) -> [[UInt8]] { metadata.filter { $0.index == index }.map(\.value) }

    /// Bytes that it keeps, roughly.
    var size: Int { metadata.reduce(message.count + 512) { $0 + $1.value.count } }

    /// Whether the call is over, for whichever reason.
    package var isOver: Bool { connection.isOver(self) }

    /// Runs an action once when the call is over by other ways than `finish(_:)`: cancelled, late, or cut off.
    ///
    /// - Parameter action: Must return at once; runs right away if the call is over already.
    package func whenCutOff(_ action: @escaping @Sendable () -> Void) { connection.whenCutOff(self, action) }

    /// Sends a message.
    ///
    /// - Returns: Whether the call was still open.
    @discardableResult
    package func send(_ message: [UInt8]) -> Bool { connection.send(message, on: self, finish: nil) }

    /// Ends the call, after what was sent on it.
    ///
    /// - Returns: Whether the call was still open.
    @discardableResult
    package func finish(_ status: CallStatus) -> Bool { connection.send(nil, on: self, finish: status) }

    /// Sends a message and ends the call.
    ///
    /// - Returns: Whether the call was still open.
    @discardableResult
    package func finish(with message: [UInt8]) -> Bool { connection.send(message, on: self, finish: .ok) }

    /// Asks for another round, such as after a file was hashed elsewhere.
    package func resume() { connection.requestRound(self) }
}
