import Foundation
import SPIFFE
import TestSupport
import WorkloadIdentity
import X509

/// A trust domain with an authority, and the sources of its workloads.
struct Realm {
    let ca: TestCA

    init(_ trustDomain: String = "example.org") throws { ca = try TestCA(trustDomain) }

    /// A workload that holds an SVID of this realm, and the bundles of this realm and others.
    func source(
        _ path: String = "/w", trusting others: [Realm] = [], at instant: Date = CertificateRecipe.now,
        _ change: (inout CertificateRecipe) -> Void = { _ in }
    ) throws -> X509Source {
        X509Source(try update(path, trusting: others, change), now: { instant })
    }

    func update(
        _ path: String = "/w", trusting others: [Realm] = [], signedBelow intermediates: [TestCA] = [],
        _ change: (inout CertificateRecipe) -> Void = { _ in }
    ) throws -> X509Update {
        let leaf = try (intermediates.last ?? ca).leaf("spiffe://\(ca.trustDomain)\(path)", change)
        let chain = [leaf.certificate] + intermediates.reversed().map(\.certificate)
        let svid = try X509SVID(
            chain: Data(try chain.flatMap { try $0.derBytes() }), privateKey: leaf.pkcs8)
        // Another that claims the same trust domain is trusted instead.
        let trusted = others.map(\.ca.bundle)
        let own = trusted.contains { $0.trustDomain == ca.trustDomain } ? [] : [ca.bundle]
        return try X509Update(svids: [svid], bundles: own + trusted)
    }

    func id(_ path: String = "/w") throws -> SPIFFEID { try SPIFFEID("spiffe://\(ca.trustDomain)\(path)") }
}

extension X509Source {
    /// The serial number of what a new connection presents.
    var serial: Certificate.SerialNumber? { try? svid.certificates.first?.serialNumber }
}
