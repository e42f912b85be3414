package import Foundation
internal import Platform
internal import SPIFFE

/// A named set of executables' digests that changes by versions, so that a release does not cut off what still runs.
package struct DigestSet: Hashable, Sendable {
    /// One state of the set.
    package struct Version: Hashable, Sendable {
        package let number: Int64
        /// SHA-256, 64 lower-case hex digits each; sorted, without repeats, never empty.
        package let digests: [String]
        package let createdAt: Date

        package init(number: Int64, digests: [String], createdAt: Date) {
            (self.number, self.digests, self.createdAt) = (number, Array(Set(digests)).sorted(), createdAt)
        }
    }

    package static let maximumDigests = 256
    /// The most in all versions together: they go to agents with each entry.
    package static let maximumTotal = 512
    package static let maximumKept = 16
    package static let maximumSets = 1000
    private static let longestGrace = Duration.seconds(365 * 24 * 3600)

    package let name: String
    /// How many versions before the newest one stay valid for a while.
    package let keeps: Int
    /// How long a version stays valid once the next one is there.
    package let grace: Duration
    /// Oldest first; the last is the one in force.
    ///
    /// Never empty.
    package let versions: [Version]

    package init(name: String, keeps: Int, grace: Duration, versions: [Version]) {
        (self.name, self.keeps, self.grace, self.versions) = (name, keeps, grace, versions)
    }

    /// The digests that count, each with the instant from which it does not any more; nil for those of the newest version.
    package var accepted: [String: Date?] {
        var ends: [String: Date?] = [:]
        for (version, next) in zip(versions, versions.dropFirst()) {
            let end = next.createdAt + grace.timeInterval
            for digest in version.digests {
                // Of two windows the later end counts.
                if case .some(.some(let known)) = ends[digest], known >= end { continue }
                ends[digest] = .some(end)
            }
        }
        for digest in versions.last?.digests ?? [] { ends[digest] = .some(nil) }
        return ends
    }

    /// A set as it begins.
    ///
    /// - Throws: ``EntryError`` that names the rule.
    package static func new(
        name: String, keeps: Int, grace: Duration, digests: [String], now: Date
    ) throws(EntryError) -> DigestSet {
        try check(name: name)
        guard (0...maximumKept).contains(keeps) else { throw .tooMany(field: "kept versions", limit: maximumKept) }
        guard (.zero...longestGrace).contains(grace) else { throw .lifetimeOutOfRange(field: "grace window") }
        return DigestSet(
            name: name, keeps: keeps, grace: grace,
            versions: [Version(number: 1, digests: try checked(digests), createdAt: now.wholeSecond)])
    }

    /// The set with one more version.
    ///
    /// - Parameters:
    ///   - digests: All of the new version's.
    ///   - now: When it comes into force.
    ///   - dropsOthers: Whether the versions before end at once.
    /// - Returns: The set, with no more versions than it keeps.
    /// - Throws: ``EntryError`` that names the rule.
    package func adding(_ digests: [String], now: Date, dropsOthers: Bool) throws(EntryError) -> DigestSet {
        let checked = try Self.checked(digests)
        let number = (versions.last?.number ?? 0) + 1
        // A clock that was set back must not make versions overlap the wrong way round.
        let createdAt = max(now.wholeSecond, versions.last?.createdAt ?? now.wholeSecond)
        let next = Version(number: number, digests: checked, createdAt: createdAt)
        let kept = dropsOthers ? [] : Array(versions.suffix(keeps))
        guard (kept + [next]).reduce(0, { $0 + $1.digests.count }) <= Self.maximumTotal else {
            throw .tooMany(field: "digests of all kept versions", limit: Self.maximumTotal)
        }
        return DigestSet(name: name, keeps: keeps, grace: grace, versions: kept + [next])
    }

    /// Judges a name.
    ///
    /// - Throws: `badText` unless it is 1 to 63 lower-case letters, digits, dots, dashes and underscores.
    package static func check(name: String) throws(EntryError) {
        guard (1...63).contains(name.utf8.count), name.utf8.allSatisfy(isNameByte), !name.hasPrefix(".") else {
            throw .badText(field: "name of a digest set")
        }
    }

    private static func checked(_ digests: [String]) throws(EntryError) -> [String] {
        guard !digests.isEmpty else { throw .emptyDigestSet }
        guard digests.count <= maximumDigests else { throw .tooMany(field: "digests", limit: maximumDigests) }
        for digest in digests {
            guard SelectorFamily.ValueRule.digest.admits(digest) else { throw .badText(field: "digest") }
        }
        return digests
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."),
            UInt8(ascii: "-"), UInt8(ascii: "_"):
            true
        default: false
        }
    }
}

extension Date {
    /// To the second, as the store and the API keep instants.
    var wholeSecond: Date { Date(timeIntervalSince1970: timeIntervalSince1970.rounded(.down)) }
}
