internal import Crypto
internal import Foundation
internal import IssuerDomain
internal import Platform
internal import SPIFFE
internal import SwiftASN1
internal import Synchronization
internal import WorkloadIdentity
internal import X509

/// The server's own X.509-SVID, by which agents know it.
final class ServerSVID: Sendable {
    /// A certificate of the chain, for people.
    struct Link {
        let id: SPIFFEID?
        let expiresAt: Date
        let subject: String
    }

    private struct Current {
        let material: TLSMaterial
        let chain: [Link]
        let start: Date
        let due: Date
        let authorityID: String
    }

    private let current: Mutex<Current>

    /// The path of every server's SPIFFE ID.
    static let path = "/spire/server"

    init(issuer: SVIDIssuer, now: Date, using entropy: some Entropy) throws {
        current = Mutex(try Self.issue(by: issuer, now: now, using: entropy))
    }

    /// What to present to agents now.
    var material: TLSMaterial { current.withLock { $0.material } }

    /// What is presented, leaf first.
    var chain: [Link] { current.withLock { $0.chain } }

    /// Replaces the SVID when half of its life is over, and at once when what signed it is tainted or the clock was set
    /// back to before it.
    ///
    /// - Parameters:
    ///   - issuer: Signs the new one.
    ///   - spoiled: IDs of authorities whose SVIDs are to be replaced.
    ///   - now: The time.
    ///   - entropy: For the serial number.
    /// - Throws: ``IssuanceError``; then the SVID stays.
    func renewIfDue(issuer: SVIDIssuer, spoiled: Set<String>, now: Date, using entropy: some Entropy) throws {
        guard current.withLock({ $0.due <= now || now < $0.start || spoiled.contains($0.authorityID) }) else { return }
        let renewed = try Self.issue(by: issuer, now: now, using: entropy)
        current.withLock { $0 = renewed }
    }

    private static func issue(by issuer: SVIDIssuer, now: Date, using entropy: some Entropy) throws -> Current {
        var entropy = entropy
        let key = P256.Signing.PrivateKey()
        let request = try SigningRequestMaker.request(signedBy: key)
        let id = try SPIFFEID(trustDomain: issuer.trustDomain, path: path)
        let svid = try issuer.x509SVID(
            id: id, request: try SigningRequest(der: request), asked: nil, defaultTTL: issuer.settings.agentTTL,
            now: now, using: &entropy)
        let validity = svid.lifetime.validity
        return Current(
            material: try TLSMaterial(chain: svid.chain, key: key.derRepresentation),
            chain: try svid.chain.enumerated().map { index, der in
                let certificate = try Certificate(derEncoded: der)
                return Link(
                    id: index == 0 ? svid.id : nil, expiresAt: certificate.notValidAfter,
                    subject: "\(certificate.subject)")
            },
            start: validity.lowerBound,
            due: validity.lowerBound + validity.upperBound.timeIntervalSince(validity.lowerBound) / 2,
            authorityID: svid.authorityID)
    }
}
