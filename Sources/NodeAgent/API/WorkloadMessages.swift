internal import GRPCWire
internal import Platform
internal import AgentDomain
internal import Foundation
internal import SPIFFE
internal import SwiftProtobuf
internal import WorkloadAPIProtos

/// The messages of the SPIFFE Workload API, serialised.
enum WorkloadMessages {
    static func x509SVIDs(
        _ svids: [(entry: AuthorizedEntry, svid: HeldX509SVID)], bundle: TrustBundle, federated: [TrustBundle]
    ) throws(CallStatus) -> [UInt8] {
        let authorities = Data(try concatenated(bundle))
        let others = try x509Map(federated)
        return try serialised(
            WorkloadX509SVIDResponse.with {
                $0.svids = svids.map { entry, svid in
                    .with {
                        $0.spiffeID = "\(svid.spiffeID)"
                        $0.x509Svid = Data(svid.chain)
                        $0.x509SvidKey = Data(svid.key.exposed)
                        $0.bundle = authorities
                        $0.hint = entry.hint
                    }
                }
                $0.federatedBundles = others
            })
    }

    /// The node's own bundle (WLAPI-17) and others.
    static func x509Bundles(_ bundle: TrustBundle, federated: [TrustBundle]) throws(CallStatus) -> [UInt8] {
        var bundles = try x509Map(federated)
        bundles["\(bundle.trustDomain.id)"] = Data(try concatenated(bundle))
        return try serialised(WorkloadX509BundlesResponse.with { $0.bundles = bundles })
    }

    /// The node's own bundle (WLAPI-23) and others.
    static func jwtBundles(_ bundle: TrustBundle, federated: [TrustBundle]) throws(CallStatus) -> [UInt8] {
        var bundles: [String: Data] = [:]
        for bundle in federated where !bundle.jwt.authorities.isEmpty {
            bundles["\(bundle.trustDomain.id)"] = Data(bundle.jwkSet.compactText.utf8)
        }
        bundles["\(bundle.trustDomain.id)"] = Data(bundle.jwkSet.compactText.utf8)
        return try serialised(WorkloadJWTBundlesResponse.with { $0.bundles = bundles })
    }

    static func jwtSVIDs(_ svids: [(entry: AuthorizedEntry, svid: HeldJWTSVID)]) throws(CallStatus) -> [UInt8] {
        try serialised(
            WorkloadJWTSVIDResponse.with {
                $0.svids = svids.map { entry, svid in
                    .with {
                        $0.spiffeID = "\(svid.spiffeID)"
                        $0.svid = svid.token.exposed
                        $0.hint = entry.hint
                    }
                }
            })
    }

    /// Judges a token on the caller's behalf, by the bundle of its own trust domain (WLAPI-43).
    static func verdict(
        on token: String, audience: String, bundle: TrustBundle, federated: [TrustBundle], now: Date
    ) throws(CallStatus) -> [UInt8] {
        let svid: JWTSVID
        do throws(SPIFFEError) {
            svid = try JWTSVID.verify(token, audience: audience, at: now) { domain in
                if domain == bundle.trustDomain { return bundle.jwt }
                return federated.first { $0.trustDomain == domain }?.jwt
            }
        } catch { throw CallStatus(.invalidArgument, "\(error)") }
        return try serialised(
            WorkloadValidateJWTSVIDResponse.with {
                $0.spiffeID = "\(svid.id)"
                $0.claims = Google_Protobuf_Struct(claims: svid.claims, audience: svid.audience)
            })
    }

    /// X.509 authorities by trust domain ID; a domain without any is left out, for an empty field is no bundle (WLAPI-36).
    private static func x509Map(_ bundles: [TrustBundle]) throws(CallStatus) -> [String: Data] {
        var map: [String: Data] = [:]
        for bundle in bundles where !bundle.x509.authorities.isEmpty {
            map["\(bundle.trustDomain.id)"] = Data(try concatenated(bundle))
        }
        return map
    }

    private static func concatenated(_ bundle: TrustBundle) throws(CallStatus) -> [UInt8] {
        do { return try DERConcatenation.bytes(of: bundle.x509.authorities) } catch {
            throw CallStatus(.internal, "bundle cannot be written")
        }
    }

    private static func serialised(_ message: some SwiftProtobuf.Message) throws(CallStatus) -> [UInt8] {
        do { return try message.serializedBytes() } catch {
            throw CallStatus(.internal, "answer cannot be written")
        }
    }
}
