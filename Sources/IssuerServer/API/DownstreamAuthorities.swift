internal import Foundation
internal import GRPCCore
internal import IssuerAPIProtos
internal import IssuerDomain
internal import Logging
internal import Platform
internal import SPIFFE
internal import X509

/// Signs authorities for the servers below this one.
struct DownstreamAuthorities: Sendable {
    let access: AccessControl
    let authorities: AuthorityKeeper
    let entries: EntryRegistrar
    let trustDomain: TrustDomain
    /// How long one lives when neither its server nor its entry says.
    let defaultLifetime: Duration
    let clock: any WallClock
    let logger: Logger

    /// `SVID.NewDownstreamX509CA`.
    func newX509CA(
        _ request: Spire_Api_Server_Svid_V1_NewDownstreamX509CARequest, context: ServerContext
    ) throws -> Spire_Api_Server_Svid_V1_NewDownstreamX509CAResponse {
        let caller = try access.requireDownstream(context)
        guard request.preferredTtl >= 0 else {
            throw RPCError(code: .invalidArgument, message: "preferred_ttl is negative")
        }
        let (snapshot, now) = (authorities.snapshot, clock.now)
        guard let power = entries.read({ $0.downstreamPower(of: caller, now: now) }) else {
            throw RPCError(code: .permissionDenied, message: "this call is for downstream servers")
        }
        var entropy = SystemEntropy()
        do throws(IssuanceError) {
            let (certificate, lifetime) = try DownstreamCertificate.sign(
                SigningRequest(der: Array(request.csr)), for: trustDomain, under: snapshot.x509.certificate,
                key: snapshot.x509.key.certificateKey, above: snapshot.above,
                lifetime: request.preferredTtl > 0 ? .seconds(request.preferredTtl) : power.lifetime ?? defaultLifetime,
                isDefault: request.preferredTtl == 0 && power.lifetime == nil, end: power.end,
                ceilings: [LifetimeCeiling(end: snapshot.x509.record.notAfter, limit: .authorityExpiry)],
                now: now, using: &entropy)
            let response = try answer(certificate: certificate.bytes(), snapshot)
            var fact = IssuanceFact.issued(
                trustDomain.id, expiresAt: certificate.notValidAfter, limit: lifetime.limit)
            fact.lifetime = GrantedLifetime(lifetime)
            fact.serial = SerialNumber.text(certificate.serialNumber)
            IssuanceTrail.current?.note(fact)
            logger.info(
                "downstream authority signed",
                metadata: [
                    "spiffe.id": "\(caller)", "authority.serial": "\(SerialNumber.text(certificate.serialNumber))",
                    "authority.expires_at": "\(lifetime.validity.upperBound.formatted(.iso8601))",
                    "authority.limited_by": "\(lifetime.limit)",
                ])
            return response
        } catch {
            logger.warning(
                "downstream authority refused", metadata: ["spiffe.id": "\(caller)", "error": "\(error)"])
            throw error
        }
    }

    private func answer(
        certificate: [UInt8], _ snapshot: AuthorityKeeper.Snapshot
    ) throws(IssuanceError) -> Spire_Api_Server_Svid_V1_NewDownstreamX509CAResponse {
        var response = Spire_Api_Server_Svid_V1_NewDownstreamX509CAResponse()
        response.caCertChain = ([certificate] + snapshot.x509.chain).map { Data($0) }
        for authority in snapshot.bundle.x509.authorities {
            response.x509Authorities.append(Data(try authority.bytes()))
        }
        return response
    }
}

extension Certificate {
    fileprivate func bytes() throws(IssuanceError) -> [UInt8] {
        do { return try derBytes() } catch { throw .signingFailed(detail: "\(error)") }
    }
}
