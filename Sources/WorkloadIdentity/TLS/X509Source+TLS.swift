internal import NIOSSL
package import SPIFFE
package import X509

extension X509Source {
    /// What to present on a connection opened now.
    ///
    /// Loading a key costs more than signing with it, so the last one is kept for as long as it is the present one.
    package func material() throws -> TLSMaterial { try materials.material { try svid } }

    /// Judges what a peer presented, by what is held now.
    package func verify(
        _ presented: [Certificate], authorizing authorizer: PeerAuthorizer
    ) throws(PeerRefusal) -> VerifiedX509SVID {
        let update: X509Update
        do { update = try self.update } catch { throw PeerRefusal(.unavailable, error.message) }
        let svid: VerifiedX509SVID
        do {
            svid = try X509SVIDVerification.verify(
                presented, at: instant, revocationLists: update.revocationLists
            ) { update.bundles[$0] }
        } catch { throw PeerRefusal(error) }
        try authorizer.authorize(PeerIdentity(svid))
        return svid
    }
}
