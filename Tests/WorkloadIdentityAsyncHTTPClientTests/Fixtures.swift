import Foundation
import SPIFFE
import TestSupport
import WorkloadIdentity
import X509

/// The identities that the tests of this target are about.
enum Fixtures {
    /// A source that holds one identity, and trusts some authorities.
    static func source(_ leaf: TestCA.Leaf, trusting authorities: TestCA...) throws -> X509Source {
        X509Source(try update(leaf, trusting: authorities)) { CertificateRecipe.now }
    }

    static func update(_ leaf: TestCA.Leaf, trusting authorities: [TestCA]) throws -> X509Update {
        let svid = try X509SVID(chain: Data(try leaf.certificate.derBytes()), privateKey: leaf.pkcs8)
        return try X509Update(svids: [svid], bundles: authorities.map(\.bundle))
    }
}
