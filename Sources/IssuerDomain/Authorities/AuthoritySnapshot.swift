package import Foundation
internal import Platform
package import SPIFFE
package import X509

extension AuthorityKeeper {
    /// What issuance reads: one consistent view.
    package struct Snapshot: Sendable {
        package let x509: X509Authority
        package let jwt: JWTAuthority
        package let bundle: TrustBundle
        /// Every authority of every server and of others.
        package let records: [AuthorityRecord]
        /// Which authorities of the bundle are tainted.
        package let tainted: TaintedAuthorities
        /// IDs of X.509 authorities of servers whose SVIDs are to be replaced.
        package let spoiled: Set<String>
        /// The keys with which servers of this tier sign, or have signed what is not over.
        let tierKeys: Set<Certificate.PublicKey>

        /// Whether an SVID was signed by a server of this tier, and not by one below it or by what else the bundle holds.
        package func isOfThisTier(_ svid: VerifiedX509SVID) -> Bool {
            svid.chain.count > 1 && tierKeys.contains(svid.chain[1].publicKey)
        }
        /// What vouches for the X.509 authority, from its issuer to the upstream's root; empty when it is a root itself.
        package let above: [Certificate]

        /// How the authorities of this server stand.
        package func standing(_ kind: AuthorityRecord.Kind) -> AuthorityStanding {
            let active = kind == .x509 ? x509.record : jwt.record
            let own = records.filter { $0.kind == kind && $0.origin.isSameServer(as: active.origin) }
            return AuthorityStanding(
                active: active, prepared: own.first { $0.state == .prepared },
                old: own.filter { $0.state == .retired || $0.state == .tainted }
                    .max { ($0.notBefore, $0.notAfter, $0.id) < ($1.notBefore, $1.notAfter, $1.id) })
        }
    }
}

/// The authorities of one kind with which one server signs, is about to sign, and signed last.
package struct AuthorityStanding: Hashable, Sendable {
    package let active: AuthorityRecord
    package let prepared: AuthorityRecord?
    package let old: AuthorityRecord?

    /// Whether a successor should have been prepared a good while ago.
    package func isSuccessorOverdue(now: Date) -> Bool {
        prepared == nil && AuthoritySchedule.isSuccessorOverdue(after: active, now: now)
    }
}

/// The authorities of a bundle whose signatures are to be replaced.
package struct TaintedAuthorities: Hashable, Sendable {
    /// DER.
    package let certificates: Set<[UInt8]>
    package let keyIDs: Set<String>
}

extension AuthorityRecord.Origin {
    fileprivate func isSameServer(as other: Self) -> Bool {
        guard case .server(let one?, _) = self, case .server(let two?, _) = other else { return false }
        return one == two
    }
}

extension AuthorityMaker {
    /// Loads what issuance needs for a set of records.
    func snapshot(
        of records: [AuthorityRecord], sequence: UInt64
    ) async throws(AuthorityError) -> AuthorityKeeper.Snapshot {
        let own = records.filter { $0.isOwned(by: server) && $0.state == .active }
        guard let x509 = own.first(where: { $0.kind == .x509 }), let jwt = own.first(where: { $0.kind == .jwt }) else {
            throw .damaged(id: "active")
        }
        var certificates: [Certificate] = []
        var jwtKeys: [String: JWTVerificationKey] = [:]
        // All of them, also those just over: what is published changes with the records alone (BUNDLE-04).
        let published = records.filter(\.isPublished).sorted { ($0.notBefore, $0.id) < ($1.notBefore, $1.id) }
        for record in published {
            switch record.kind {
            case .x509: certificates.append(try Self.certificate(of: record))
            case .jwt:
                do { jwtKeys[record.id] = try JWTVerificationKey(derRepresentation: record.publicDER) } catch {
                    throw .damaged(id: record.id)
                }
            }
        }
        let authority = X509Authority(
            record: x509, certificate: try Self.certificate(of: x509), key: try await key(of: x509))
        guard authority.key.certificateKey.publicKey == authority.certificate.publicKey else {
            throw .damaged(id: x509.id)
        }
        let tier = records.filter { $0.kind == .x509 && $0.keyName != nil && $0.state != .revoked }
        var tierKeys: Set<Certificate.PublicKey> = []
        for record in tier { tierKeys.insert(try Self.certificate(of: record).publicKey) }
        let tainted = published.filter { $0.state == .tainted }
        return AuthorityKeeper.Snapshot(
            x509: authority, jwt: try JWTAuthority(record: jwt, key: try await key(of: jwt)),
            bundle: TrustBundle(
                trustDomain: trustDomain, x509Authorities: certificates, jwtAuthorities: jwtKeys, sequence: sequence,
                refreshHint: UInt64(
                    clamping: AuthoritySchedule.refreshInterval(under: settings.lifetime).wholeSeconds)),
            records: records,
            tainted: TaintedAuthorities(
                certificates: Set(tainted.filter { $0.kind == .x509 }.map(\.publicDER)),
                keyIDs: Set(tainted.filter { $0.kind == .jwt }.map(\.id))),
            spoiled: try SpoiledAuthorities(records).all, tierKeys: tierKeys, above: try above(x509, in: records))
    }

    private func above(
        _ authority: AuthorityRecord, in records: [AuthorityRecord]
    ) throws(AuthorityError) -> [Certificate] {
        guard let keyID = authority.upstreamKeyID else { return [] }
        var above: [Certificate] = []
        for der in authority.chain {
            do { above.append(try DERConcatenation.certificate(in: der[...])) } catch {
                throw .damaged(id: authority.id)
            }
        }
        for root in records where root.kind == .x509 && root.origin == .upstream && root.state != .revoked {
            guard try SpoiledAuthorities.keyID(of: root) == keyID else { continue }
            return above + [try Self.certificate(of: root)]
        }
        return above
    }

    private func key(of record: AuthorityRecord) async throws(AuthorityError) -> any SigningKey {
        guard let name = record.keyName else { throw .damaged(id: record.id) }
        do { return try await keys.key(name) } catch { throw .keyStore(error) }
    }

    private static func certificate(of record: AuthorityRecord) throws(AuthorityError) -> Certificate {
        do { return try DERConcatenation.certificate(in: record.publicDER[...]) } catch {
            throw .damaged(id: record.id)
        }
    }
}
