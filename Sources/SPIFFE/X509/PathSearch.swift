internal import Foundation
internal import X509

/// Looks for a path from a leaf to an authority that keeps RFC 5280 §6.1, as far as SPIFFE uses it.
///
/// Why not the `Verifier` of swift-certificates, whose values and signature checks this builds on: it leaves key usage and
/// weak algorithms alone, checks as many signatures as a peer has certificates of equal names to offer, and copies
/// certificates until a chain of three takes half as long again as its signatures. It is also asynchronous only, while
/// TLS asks on an event loop. The tests hold this search against it: what that refuses, this refuses.
///
/// Left out of RFC 5280, because no rule of SPIFFE speaks of them: certificate policies, unless they are critical, and
/// then the chain is refused.
struct PathSearch {
    /// The most signatures checked for one chain; a sound one needs no more than it has certificates.
    static let maximumSignatureChecks = 32

    private let authorities: [PathCertificate]
    private let intermediates: ArraySlice<PathCertificate>
    private let instant: Date
    private let revocationLists: [RevocationList]
    private var checksLeft = Self.maximumSignatureChecks
    private var isRevoked = false
    private var reason: String?

    init(
        authorities: [PathCertificate], intermediates: ArraySlice<PathCertificate>, at instant: Date,
        revocationLists: [RevocationList]
    ) {
        (self.authorities, self.intermediates) = (authorities, intermediates)
        (self.instant, self.revocationLists) = (instant, revocationLists)
    }

    /// Finds a path.
    ///
    /// - Parameter leaf: Where the path starts; its profile has been checked.
    /// - Returns: The path, leaf first and authority last.
    /// - Throws: ``SPIFFEError`` with code `outsideValidity`, `revoked` or `untrusted`.
    mutating func path(from leaf: PathCertificate) throws(SPIFFEError) -> [PathCertificate] {
        guard leaf.notBefore <= instant else { throw SPIFFEError(.outsideValidity, "leaf is not valid yet") }
        guard instant <= leaf.notAfter else { throw SPIFFEError(.outsideValidity, "leaf has expired") }
        if let flaw = flaw(of: leaf) { throw SPIFFEError(.untrusted, "leaf \(flaw)") }
        guard SoundSignature.covers(leaf) else { throw SPIFFEError(.untrusted, "leaf is not signed in a sound way") }
        var path = [leaf]
        if try complete(&path) { return path }
        if isRevoked { throw SPIFFEError(.revoked, "a certificate of the chain has been revoked") }
        throw SPIFFEError(
            .untrusted, reason.map { "chain refused: \($0)" } ?? "no authority in the bundle vouches for it")
    }

    /// Goes on from the last certificate of a path, to authorities first: that makes the shortest path.
    private mutating func complete(_ path: inout [PathCertificate]) throws(SPIFFEError) -> Bool {
        for authority in issuers(of: path, among: authorities) {
            guard try hasSigned(path, authority) else { continue }
            path.append(authority)
            if try isAcceptable(path) { return true }
            path.removeLast()
        }
        for intermediate in issuers(of: path, among: intermediates) {
            guard SoundSignature.covers(intermediate) else {
                refuse("an intermediate is not signed in a sound way")
                continue
            }
            guard try hasSigned(path, intermediate) else { continue }
            path.append(intermediate)
            if try complete(&path) { return true }
            path.removeLast()
        }
        return false
    }

    /// The candidates that may stand above a path, likeliest first.
    private mutating func issuers(
        of path: [PathCertificate], among candidates: some Sequence<PathCertificate>
    ) -> [PathCertificate] {
        guard let tip = path.last else { return [] }
        var issuers: [PathCertificate] = []
        for candidate in candidates where candidate.subject == tip.issuer {
            if let flaw = flaw(of: candidate, above: path) {
                refuse(flaw)
            } else {
                issuers.append(candidate)
            }
        }
        guard issuers.count > 1 else { return issuers }
        let rated = issuers.map { ($0, $0.likelihoodOfIssuing(tip)) }
        return IssuerLikelihood.allCases.flatMap { likelihood in rated.filter { $0.1 == likelihood }.map(\.0) }
    }

    /// What keeps a candidate from standing above a path; nil when nothing does but perhaps its signature.
    private func flaw(of issuer: PathCertificate, above path: [PathCertificate]) -> String? {
        guard issuer.notBefore <= instant, instant <= issuer.notAfter else {
            return "an issuer is outside of its validity"
        }
        guard issuer.maySignCertificates else { return "an issuer may not sign certificates" }
        if let flaw = flaw(of: issuer) { return "an issuer \(flaw)" }
        // Certificates that authorities issue to themselves, for a next key, do not count (RFC 5280 §6.1.4 l, m).
        let below = path.dropFirst().count { !$0.isSelfIssued }
        if let limit = issuer.maximumPathLength, below > limit {
            return "the path is longer than an issuer allows"
        }
        // The same name with the same key is the same authority, and a path through it twice could be shorter.
        let isLoop = path.contains { $0.subject == issuer.subject && $0.publicKeyInfo == issuer.publicKeyInfo }
        return isLoop ? "the path runs in a circle" : nil
    }

    /// What no certificate of a path may have, whatever its place.
    private func flaw(of certificate: PathCertificate) -> String? {
        guard certificate.certificate.version == .v3 else { return "is not of version 3" }
        guard !certificate.hasUnknownCriticalExtension else {
            return "has a critical extension that is not understood"
        }
        return SoundSignature.isSound(certificate.certificate.publicKey) ? nil : "has a weak key"
    }

    private mutating func hasSigned(_ path: [PathCertificate], _ issuer: PathCertificate) throws(SPIFFEError) -> Bool {
        guard let tip = path.last else { return false }
        try countCheck()
        return issuer.certificate.publicKey.isValidSignature(tip.certificate.signature, for: tip.certificate)
    }

    private mutating func countCheck() throws(SPIFFEError) {
        guard checksLeft > 0 else {
            throw SPIFFEError(.untrusted, "chain takes more than \(Self.maximumSignatureChecks) signature checks")
        }
        checksLeft -= 1
    }

    /// Judges a whole path by what only a whole path shows.
    private mutating func isAcceptable(_ path: [PathCertificate]) throws(SPIFFEError) -> Bool {
        for index in 1..<path.count {
            guard let constraints = path[index].nameConstraints else { continue }
            for below in path[..<index] {
                guard let names = try? below.alternativeNames(), constraints.admit(names) else {
                    refuse("a name lies outside of what an issuer may name")
                    return false
                }
            }
        }
        for list in revocationLists {
            for index in 1..<path.count where list.names(path[index - 1], issuedBy: path[index]) {
                guard try !isBelieved(list, onWordOf: path[index]) else {
                    isRevoked = true
                    return false
                }
            }
        }
        return true
    }

    /// Whether a list is signed by the authority that issued the certificate in question, or by another key of the same
    /// name in the bundle: an authority that has moved to its next key goes on revoking what the last one signed.
    private mutating func isBelieved(
        _ list: RevocationList, onWordOf issuer: PathCertificate
    ) throws(SPIFFEError) -> Bool {
        let others = authorities.filter { $0.publicKeyInfo != issuer.publicKeyInfo }
        for authority in [issuer] + others where list.mayBeSigned(by: authority) {
            try countCheck()
            if list.isSigned(by: authority) { return true }
        }
        return false
    }

    /// Notes why a path was given up; the first reason is nearest to the leaf.
    private mutating func refuse(_ reason: String) {
        self.reason = self.reason ?? reason
    }
}
