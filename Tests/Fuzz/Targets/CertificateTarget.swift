internal import Crypto
internal import Foundation
internal import SPIFFE
internal import X509

/// Certificates, chains and their verification.
///
/// An input is concatenated DER, or an `L` and then what certificates say, leaf first, without signatures: those are
/// signed here, so that the fuzzer gets beyond the first signature.
enum CertificateTarget {
    private static let instant = Date(timeIntervalSince1970: Fixtures.instant)
    private static let trustedDomain = TokenTarget.trusted.trustDomain
    private static let authorities = TokenTarget.trusted.x509

    /// Whether anything is accepted at all; properties of what is accepted would hold for a reader that refuses all.
    private static let acceptsSoundLeaf: Bool = {
        let leaf = Fixtures.leaves.first.flatMap { Data(base64Encoded: $0) }
        guard let leaf, let chain = try? DERConcatenation.certificates(in: leaf) else { return false }
        return if case .success = verdict(on: chain) { true } else { false }
    }()

    static func judge(_ input: [UInt8], flaw: Flaw?) {
        claim(acceptsSoundLeaf, "a sound leaf is accepted")
        let bytes = input.first == UInt8(ascii: "L") ? signed(input.dropFirst()) : input
        guard let bytes, let certificates = try? DERConcatenation.certificates(in: flaw?.der(bytes) ?? bytes) else {
            return
        }
        claim((try? DERConcatenation.bytes(of: certificates)) == bytes, "certificates are written as they were read")
        claim(certificates.count <= DERConcatenation.maximumCount, "there are not too many certificates")
        for certificate in certificates { judgeProfile(of: certificate) }

        let verdict = verdict(on: certificates)
        let again = certificates.compactMap { try? $0.derBytes() }
        claim(verdict == self.verdict(onDER: again), "the same chain gets the same verdict")
        guard case .success(let svid) = verdict else { return }
        claim(
            LibraryVerdict.accepts(certificates, at: instant, authorities: authorities), "the library accepts it, too")
        claim(svid.leaf == certificates[0] && svid.chain.first == svid.leaf, "the identity is that of the first one")
        claim(svid.chain.dropFirst().dropLast().allSatisfy(certificates.contains), "the path was presented")
        claim(
            svid.chain.count > 1 && authorities.authorities.contains { $0 == svid.chain.last }, "an authority is last")
        claim(svid.id.trustDomain == trustedDomain, "no domain vouches for another")
        LeafAudit.claimIsSound(svid.leaf, naming: svid.id)
        for issuer in svid.chain.dropFirst() { LeafAudit.claimMayIssue(issuer) }
    }

    private static func judgeProfile(of certificate: Certificate) {
        guard let id = try? X509SVIDProfile.checkLeaf(certificate) else { return }
        claim(id.hasPath && (try? SPIFFEID(id.description)) == id, "a leaf names a workload")
        claim((try? X509SVIDProfile.spiffeID(of: certificate)) == id, "a leaf has one name")
        claim((try? X509SVIDProfile.checkIntermediate(certificate)) == nil, "no leaf is an intermediate, too")
    }

    private static func verdict(on chain: [Certificate]) -> Result<VerifiedX509SVID, SPIFFEError> {
        Result { () throws(SPIFFEError) in
            try X509SVIDVerification.verify(chain, at: instant) { $0 == trustedDomain ? authorities : nil }
        }
    }

    private static func verdict(onDER chain: [[UInt8]]) -> Result<VerifiedX509SVID, SPIFFEError> {
        Result { () throws(SPIFFEError) in
            try X509SVIDVerification.verify(presentedDER: chain, at: instant) {
                $0 == trustedDomain ? authorities : nil
            }
        }
    }

    /// Signs each with the key of the next, and the last with that of the root.
    private static func signed(_ parts: ArraySlice<UInt8>) -> [UInt8]? {
        guard let forest = DERForest(parts), forest.trees.count <= SigningKeys.deepest else { return nil }
        return forest.trees.map(\.bytes).enumerated().flatMap { index, tbs in
            SigningKeys.certificate(of: tbs, signedBy: SigningKeys.authority(forest.trees.count - 1 - index))
        }
    }
}
