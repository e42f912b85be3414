internal import Foundation
internal import IssuerDomain
internal import SPIFFE
internal import SwiftASN1
internal import X509

/// A CA key and certificate from files, with the roots above it, once all three are known to belong together.
struct DiskMaterial {
    let certificate: Certificate
    let key: Certificate.PrivateKey
    /// From the certificate to just below a root, both left out.
    let intermediates: [Certificate]
    let roots: [Certificate]
    /// From the certificate's issuer to the root, which is the last; empty when the certificate is a root.
    let above: [Certificate]

    /// Reads and judges what files hold.
    ///
    /// - Parameters:
    ///   - certificates: PEM: the CA certificate, then what leads from it to a root.
    ///   - key: PEM: its private key, PKCS#8, SEC 1 or PKCS #1.
    ///   - bundle: PEM: the roots; nil when the CA certificate is one itself.
    ///   - now: The time.
    /// - Throws: `refused`, which says what does not fit.
    init(certificates: String, key: String, bundle: String?, now: Date) throws(UpstreamError) {
        let chain = try Self.certificates(in: certificates, named: "certificate file")
        guard let own = chain.first else { throw .refused(detail: "the certificate file is empty") }
        do { self.key = try Certificate.PrivateKey(pemEncoded: key) } catch {
            throw .refused(detail: "the key file does not hold one unencrypted private key in PEM")
        }
        guard self.key.publicKey == own.publicKey else {
            throw .refused(detail: "the key is not that of the first certificate")
        }
        certificate = own
        try Self.judge(own, now: now)
        if let bundle {
            roots = try Self.certificates(in: bundle, named: "bundle file")
        } else {
            guard chain.count == 1, Self.isSelfSigned(own) else {
                throw .refused(
                    detail: "the certificate is not a root, and there is no bundle file with the one above it")
            }
            roots = [own]
        }
        (intermediates, above) = try Self.way(from: chain, to: roots, now: now)
        try Self.judgePathLength(of: [own] + above)
    }

    /// What may sign another authority now.
    private static func judge(_ certificate: Certificate, now: Date) throws(UpstreamError) {
        do throws(SPIFFEError) { try X509SVIDProfile.checkIntermediate(certificate) } catch {
            throw .refused(detail: "the certificate may not sign: \(error.message)")
        }
        guard certificate.notValidBefore <= now else { throw .refused(detail: "the certificate is not valid yet") }
        guard now < certificate.notValidAfter else {
            throw .refused(
                detail: "the certificate has expired on \(certificate.notValidAfter.formatted(.iso8601))")
        }
    }

    /// What everything on the way to the root must allow: one more authority below the first.
    private static func judgePathLength(of way: [Certificate]) throws(UpstreamError) {
        var depth = 0
        for certificate in way {
            if let limit = pathLength(of: certificate), limit <= depth {
                let name = depth == 0 ? "the certificate" : "'\(certificate.subject)' above the certificate"
                throw .refused(detail: "\(name) may have no authority below it (path length \(limit))")
            }
            depth += 1
        }
    }

    /// How many authorities may follow one; nil for any number.
    private static func pathLength(of certificate: Certificate) -> Int? {
        guard case .isCertificateAuthority(let limit)? = try? certificate.extensions.basicConstraints else {
            return nil
        }
        return limit
    }

    /// Follows signatures from the first certificate to a root.
    private static func way(
        from chain: [Certificate], to roots: [Certificate], now: Date
    ) throws(UpstreamError) -> (intermediates: [Certificate], above: [Certificate]) {
        var way: [Certificate] = []
        for (position, certificate) in chain.enumerated() {
            if roots.contains(certificate) { return (way, position == 0 ? [] : way + [certificate]) }
            if position > 0 { way.append(certificate) }
            let isLast = position + 1 == chain.count
            let issuer = (isLast ? roots : [chain[position + 1]]).first { issuer in
                issuer.subject == certificate.issuer && issuer.notValidBefore <= now && now < issuer.notValidAfter
                    && issuer.publicKey.isValidSignature(certificate.signature, for: certificate)
            }
            guard let issuer else {
                throw .refused(
                    detail: isLast
                        ? "the chain of the certificate file does not lead to a valid root of the bundle file"
                        : "certificate \(position + 1) of the certificate file is not signed by a valid next one")
            }
            if isLast { return (way, way + [issuer]) }
        }
        return (way, way)
    }

    private static func isSelfSigned(_ certificate: Certificate) -> Bool {
        certificate.subject == certificate.issuer
            && certificate.publicKey.isValidSignature(certificate.signature, for: certificate)
    }

    private static func certificates(
        in text: String, named name: String
    ) throws(UpstreamError) -> [Certificate] {
        do throws(SPIFFEError) {
            return try CertificatePEM.certificates(in: text, code: .invalidX509SVID)
        } catch { throw .refused(detail: "the \(name) is not sound: \(error.message)") }
    }
}
