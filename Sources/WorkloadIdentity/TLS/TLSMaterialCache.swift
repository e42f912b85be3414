internal import SPIFFE
internal import Synchronization

/// The identity last loaded for TLS.
final class TLSMaterialCache: Sendable {
    private let last = Mutex<(svid: X509SVID, material: TLSMaterial)?>(nil)

    /// What to present for the present identity; where there is none, nothing is kept either.
    ///
    /// The identity is asked for under the lock, so that none that was taken back in the meantime is filed again.
    func material(for present: () throws -> X509SVID) throws -> TLSMaterial {
        try last.withLock { last in
            do {
                let svid = try present()
                if let last, last.svid.privateKeyDER == svid.privateKeyDER, last.svid.certificates == svid.certificates
                {
                    return last.material
                }
                let material = try TLSMaterial(
                    chain: try svid.certificates.map { try $0.derBytes() }, key: svid.privateKeyDER)
                last = (svid, material)
                return material
            } catch {
                last = nil
                throw error
            }
        }
    }

    /// Lets go of the key.
    func removeAll() { last.withLock { $0 = nil } }
}
