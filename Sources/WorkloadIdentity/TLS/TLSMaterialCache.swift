internal import SPIFFE
internal import Synchronization

/// The identity last loaded for TLS.
final class TLSMaterialCache: Sendable {
    private let last = Mutex<(svid: X509SVID, material: TLSMaterial)?>(nil)

    func material(for svid: X509SVID) throws -> TLSMaterial {
        let known = last.withLock { $0 }
        if let known, known.svid.privateKeyDER == svid.privateKeyDER, known.svid.certificates == svid.certificates {
            return known.material
        }
        let material = try TLSMaterial(
            chain: try svid.certificates.map { try $0.derBytes() }, key: svid.privateKeyDER)
        last.withLock { $0 = (svid, material) }
        return material
    }

    /// Lets go of the key.
    func removeAll() { last.withLock { $0 = nil } }
}
