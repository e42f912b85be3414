/// How long to wait before asking an issuer again that did not answer: longer each time, and drawn, so that a fleet does not
/// come back in step.
package struct ReconnectPause {
    private let first: Duration
    private let longest: Duration
    private var next: Duration

    /// Creates a pause.
    ///
    /// - Parameters:
    ///   - first: The longest that the first one may be.
    ///   - longest: The longest that any may be.
    package init(first: Duration = .milliseconds(200), longest: Duration = .seconds(5)) {
        (self.first, self.longest, next) = (first, longest, first)
    }

    /// Draws the next pause, between half of what it may be and all of it.
    package mutating func take(using entropy: inout some RandomNumberGenerator) -> Duration {
        defer { next = min(next * 2, longest) }
        return Self.drawn(from: next, using: &entropy)
    }

    /// Begins again with the first.
    package mutating func reset() { next = first }

    /// Between half of a duration and all of it.
    package static func drawn(from duration: Duration, using entropy: inout some RandomNumberGenerator) -> Duration {
        duration * Double.random(in: 0.5...1, using: &entropy)
    }
}
