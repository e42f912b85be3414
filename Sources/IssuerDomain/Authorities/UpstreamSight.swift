internal import Foundation

/// Which roots an upstream trusts as far as this server has seen, and since when it has missed others.
///
/// What is missing can be an old answer as well as a new decision: an answer to a request that overtook it counts for more.
struct UpstreamSight {
    /// Answers may be this old when they arrive.
    private static let longestDelay: TimeInterval = 60

    private var told: Set<String>?
    private var vouched: (ids: Set<String>, at: Date) = ([], .distantPast)
    /// Whether nothing was told since somebody was vouched for.
    private var isVouchLast = false
    private var missed: [String: Date] = [:]

    /// Takes in everything that the upstream says it trusts.
    mutating func learn(_ ids: Set<String>) { (told, isVouchLast) = (ids, false) }

    /// Takes in the roots that came with a certificate.
    mutating func vouch(_ ids: Set<String>, now: Date) {
        guard !ids.isEmpty else { return }
        (vouched, isVouchLast) = ((ids, now), true)
    }

    /// Notes which of some roots are missing.
    ///
    /// - Returns: Since when, by ID; empty as long as nothing is known.
    mutating func missing(of ids: Set<String>, now: Date) -> [String: Date] {
        guard var trusted = told else { return [:] }
        // What was told since may be older all the same; later on it would have been told anew.
        if isVouchLast || abs(now.timeIntervalSince(vouched.at)) < Self.longestDelay { trusted.formUnion(vouched.ids) }
        let since = missed
        missed = [:]
        for id in ids.subtracting(trusted) { missed[id] = since[id] ?? now }
        return missed
    }
}
