internal import Platform
internal import SPIFFE

/// Which X.509 authorities have lost their good name: what they signed is to be replaced.
struct SpoiledAuthorities {
    /// Subject key identifiers, in hex, of roots of others that are neither tainted nor revoked.
    private let goodRoots: Set<String>
    /// IDs of servers' authorities that a bad root vouches for.
    let underTaintedRoot: Set<String>
    /// IDs of servers' authorities that are tainted or revoked themselves, or under such a root.
    let all: Set<String>

    init(_ records: [AuthorityRecord]) throws(AuthorityError) {
        var (good, bad): (Set<String>, Set<String>) = ([], [])
        for record in records where record.kind == .x509 {
            if case .server = record.origin { continue }
            let keyID = try Self.keyID(of: record)
            if record.state == .published { good.insert(keyID) } else { bad.insert(keyID) }
        }
        // A taint is of a key, so one tainted certificate is enough.
        goodRoots = good.subtracting(bad)
        let own = records.filter { record in
            guard record.kind == .x509, case .server = record.origin else { return false }
            return true
        }
        underTaintedRoot = Set(own.filter { $0.upstreamKeyID.map(bad.contains) ?? false }.map(\.id))
        all = underTaintedRoot.union(own.filter { $0.state == .tainted || $0.state == .revoked }.map(\.id))
    }

    /// Whether a root is published and has a good name.
    func trusts(rootKeyID: String) -> Bool { goodRoots.contains(rootKeyID) }

    /// The subject key identifier of an X.509 authority, in hex.
    static func keyID(of record: AuthorityRecord) throws(AuthorityError) -> String {
        do {
            let certificate = try DERConcatenation.certificate(in: record.publicDER[...])
            return Hex.encode(X509Authority.keyIdentifier(of: certificate))
        } catch { throw .damaged(id: record.id) }
    }
}
