/// What the agent does with connections and calls.
///
/// The server runs the same round for every call when it arrives, and again whenever ``WorkloadConnection/poke()`` or
/// ``WorkloadCall/resume()`` asks for one:
///
/// 1. It sends a challenge, a PING with eight random bytes.
/// 2. It calls ``gather(_:)`` while the answer is under way, with all calls whose rounds this challenge begins.
/// 3. When the answer has come, from the process that connected, it calls ``answer(_:)``.
///
/// So a message that is sent within ``answer(_:)`` goes to a caller that was alive, and the one who connected, after
/// the reason to send it arose. One challenge serves all rounds that were due before it was sent, and no others.
///
/// All of these run on workers. The methods for one connection never run at the same time, so a call that blocks keeps
/// its own connection waiting, and one worker; a user's processes together can keep no more than half of the workers.
package protocol CallHandler: Sendable {
    /// A connection was made; nothing has been read from it.
    func accepted(_ connection: WorkloadConnection)

    /// A round has begun for calls of one connection: collect what the answers will be judged by.
    func gather(_ calls: [WorkloadCall])

    /// The challenge was met: send, finish, or leave the call open.
    func answer(_ call: WorkloadCall)

    /// A connection is gone, and with it its calls. Follows every ``accepted(_:)``.
    func closed(_ connection: WorkloadConnection)
}
