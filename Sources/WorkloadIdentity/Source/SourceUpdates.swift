/// What a source holds, each time it changes: the first element is what it holds now.
///
/// A failure means that the endpoint took back what it gave. Who is slow sees the newest state and none of those
/// between. The sequence ends when the source is closed or the waiting task is cancelled.
public struct SourceUpdates<Value: Sendable>: AsyncSequence, Sendable {
    /// The whole state, or why there is none any more.
    public typealias Element = Result<Value, WorkloadAPIError>

    let latest: LatestValue<Element>

    /// Starts from the present state.
    public func makeAsyncIterator() -> Iterator { Iterator(latest: latest) }

    /// Remembers which state was seen last.
    public struct Iterator: AsyncIteratorProtocol {
        let latest: LatestValue<Element>
        private var seen: UInt64 = 0

        init(latest: LatestValue<Element>) { self.latest = latest }

        /// Waits for a state that was not seen yet.
        ///
        /// - Returns: The newest state; nil once the source is closed or the task cancelled.
        public mutating func next() async -> Element? {
            let snapshot = await latest.change(after: seen)
            guard !snapshot.isClosed, snapshot.version > seen, !Task.isCancelled else { return nil }
            seen = snapshot.version
            return snapshot.value
        }
    }
}
