/// Tells selectors that an attestor can produce from those that would never match.
package enum SelectorVocabulary {
    /// Kinds that attestors of SPIRE's server and agent produce, for workloads, nodes and stores; this system does not
    /// judge what follows.
    package static let foreignKinds: Set<String> = [
        "aws_iid", "aws_secretsmanager", "azure_imds", "azure_msi", "docker", "gcp_iit", "gcp_secretmanager",
        "http_challenge", "join_token", "k8s", "k8s_psat", "k8s_sat", "spiffe_id", "sshpop", "systemd",
        "tpm_devid", "windows", "x509pop",
    ]

    /// Kinds whose attestors are yet to come: to store one now would promise what nobody keeps.
    package static let announcedKinds: Set<String> = ["hint", "human", "ima", "launch", "sig", "task", "verity"]

    /// Keys of SPIRE's attestors in kinds that this system shares.
    private static let foreignPrefixes = ["docker:env", "docker:image_config_digest"]

    private static let ownKinds = Set(SelectorFamily.known.map(\.kind)).sorted()
    private static let families: [String: [Sibling]] = Dictionary(
        grouping: SelectorFamily.known.map { Sibling($0) }, by: \.family.kind)

    /// A family among those of its kind.
    private struct Sibling {
        let family: SelectorFamily
        let keys: [String]
        /// What a value begins with.
        let lead: String

        init(_ family: SelectorFamily) {
            self.family = family
            keys = Array(words(family.prefix).dropFirst())
            lead = keys.joined(separator: ":") + ":"
        }
    }

    /// The family that a selector begins like, whether or not its value is right.
    ///
    /// - Returns: nil when this system has no such family.
    package static func family(of selector: Selector) -> SelectorFamily? { match(selector)?.family }

    /// Judges the spelling of a selector.
    ///
    /// Kinds that another make of agent produces pass unread.
    ///
    /// - Parameter selector: What the admin wrote.
    /// - Throws: Why no attestor produces it, with the nearest spelling that one would, if there is one.
    package static func check(_ selector: Selector) throws(SelectorVocabularyError) {
        guard let siblings = families[selector.kind] else {
            if foreignKinds.contains(selector.kind) { return }
            if announcedKinds.contains(selector.kind) { throw .announced(selector) }
            throw .unknownKind(selector, nearest: nearestKind(to: selector))
        }
        guard let (family, value) = match(selector) else {
            let text = "\(selector)"
            if foreignPrefixes.contains(where: { text.utf8.starts(with: "\($0):".utf8) }) { return }
            throw .unknown(selector, nearest: nearestKey(to: selector, among: siblings))
        }
        guard family.rule.admits(value) else {
            throw .unknown(selector, nearest: "\(family.prefix):\(family.rule.correction(of: value))")
        }
    }

    private static func match(_ selector: Selector) -> (family: SelectorFamily, value: String)? {
        for sibling in families[selector.kind] ?? [] where selector.value.utf8.starts(with: sibling.lead.utf8) {
            let value = selector.value.utf8.dropFirst(sibling.lead.utf8.count)
            return (sibling.family, String(decoding: value, as: UTF8.self))
        }
        return nil
    }

    /// The same selector under the kind that was meant, with its key put right as well.
    private static func nearestKind(to selector: Selector) -> String? {
        let ranked = ownKinds.compactMap { kind -> (isWhole: Bool, distance: Int, text: String)? in
            guard NearestWord.to(selector.kind, among: [kind]) != nil else { return nil }
            let distance = EditDistance.between(kind, selector.kind.lowercased())
            // Short kinds resemble many words: two other letters of four make another word, unless they change places.
            guard kind.utf8.count > 4 || distance <= 1 || kind.sorted() == selector.kind.lowercased().sorted(),
                let renamed = try? Selector(kind: kind, value: selector.value)
            else { return nil }
            do throws(SelectorVocabularyError) {
                try check(renamed)
                return (true, distance, "\(renamed)")
            } catch { return (false, distance, error.nearest ?? "\(renamed)") }
        }
        // One that makes all of it right was meant rather than one that resembles the kind alone.
        return ranked.min { ($0.isWhole ? 0 : 1, $0.distance) < ($1.isWhole ? 0 : 1, $1.distance) }?.text
    }

    private static func nearestKey(
        to selector: Selector, among siblings: [Sibling]
    ) -> String? {
        let written = words(selector.value)
        let ranked = siblings.compactMap { sibling -> (distance: Int, keys: Int, family: SelectorFamily)? in
            let key = sibling.keys.joined(separator: ":")
            let lead = written.prefix(sibling.keys.count).joined(separator: ":")
            guard NearestWord.to(lead, among: [key]) != nil else { return nil }
            return (EditDistance.between(key, lead.lowercased()), -sibling.keys.count, sibling.family)
        }
        guard let (_, count, family) = ranked.min(by: { ($0.distance, $0.keys) < ($1.distance, $1.keys) }) else {
            return nil
        }
        let value = written.dropFirst(-count).joined(separator: ":")
        return "\(family.prefix):\(family.rule.admits(value) ? value : family.rule.correction(of: value))"
    }

    private static func words(_ text: String) -> [String] {
        text.split(separator: ":", omittingEmptySubsequences: false).map { String($0) }
    }
}

/// Why no attestor produces a selector.
package enum SelectorVocabularyError: Error, Hashable {
    /// Of a kind that this system has, with a key or value that it has not.
    case unknown(Selector, nearest: String?)
    /// Of a kind that nobody known has.
    case unknownKind(Selector, nearest: String?)
    /// Of a kind that is yet to come.
    case announced(Selector)

    /// A spelling that would pass, or that shows how to write one.
    package var nearest: String? {
        switch self {
        case .unknown(_, let nearest), .unknownKind(_, let nearest): nearest
        case .announced: nil
        }
    }
}

extension SelectorVocabularyError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .unknown(let selector, let nearest?), .unknownKind(let selector, let nearest?):
            "no attestor produces selector '\(selector)'; did you mean '\(nearest)'?"
        case .unknown(let selector, nil): "no attestor produces selector '\(selector)'"
        case .unknownKind(let selector, nil):
            "no attestor produces selector '\(selector)': nobody knows the kind '\(selector.kind)'"
        case .announced(let selector):
            "no attestor produces selector '\(selector)' yet: the kind '\(selector.kind)' is kept for a later version"
        }
    }
}
