import Crypto
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
        try X509Update(svids: [try svid(leaf)], bundles: authorities.map(\.bundle))
    }

    static func svid(_ leaf: TestCA.Leaf) throws -> X509SVID {
        try X509SVID(chain: Data(try leaf.certificate.derBytes()), privateKey: leaf.pkcs8)
    }
}

/// An issuer of tokens.
struct TokenIssuer: Sendable {
    let trustDomain: TrustDomain
    private let key = P256.Signing.PrivateKey()

    init(_ trustDomain: String = "example.org") throws { self.trustDomain = try TrustDomain(trustDomain) }

    /// A token for the audience `service`, valid at the time of the tests, unless told otherwise.
    func token(_ path: String = "/caller", audience: String = "service", expiry: TimeInterval = 300) throws -> String {
        let header = #"{"alg":"ES256","kid":"k1","typ":"JWT"}"#
        let end = Int(CertificateRecipe.now.timeIntervalSince1970 + expiry)
        let claims = #"{"sub":"spiffe://\#(trustDomain)\#(path)","aud":["\#(audience)"],"exp":\#(end)}"#
        let input = Base64URL.encode(Data(header.utf8)) + "." + Base64URL.encode(Data(claims.utf8))
        let signature = try key.signature(for: Data(input.utf8)).rawRepresentation
        return input + "." + Base64URL.encode(signature)
    }

    /// Judges as a source would that holds this issuer's bundle alone.
    func verify(_ token: String) throws(PeerRefusal) -> JWTSVID {
        do throws(SPIFFEError) {
            let authority = try JWTVerificationKey(derRepresentation: key.publicKey.derRepresentation)
            let bundle = JWTBundle(trustDomain: trustDomain, authorities: ["k1": authority])
            return try JWTSVID.verify(token, audience: "service", at: CertificateRecipe.now) {
                $0 == trustDomain ? bundle : nil
            }
        } catch {
            throw PeerRefusal(error)
        }
    }
}
