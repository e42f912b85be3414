package import Foundation
internal import SPIFFE
package import WorkloadIdentity
internal import X509

extension PeerIdentity {
    /// When what proved it ends.
    ///
    /// Of a chain, the first of its certificates to end.
    package var expiry: Date {
        switch proof {
        case .jwt(let svid): svid.expiry
        case .x509(let svid): svid.chain.map(\.notValidAfter).min() ?? svid.leaf.notValidAfter
        }
    }

    /// What kind of SVID proved it: `jwt` or `x509`.
    package var proofKind: String {
        switch proof {
        case .jwt: "jwt"
        case .x509: "x509"
        }
    }
}
