internal import Foundation
internal import GRPCCore
internal import IssuerAPIProtos
internal import IssuerDomain
internal import Platform
internal import SPIFFE
internal import SwiftProtobuf
internal import X509

// Between the wire's words for other trust domains and the domain's. Reading is where hostile input is judged.

extension TrustDomain {
    /// Reads the name of a trust domain, or its SPIFFE ID.
    ///
    /// - Throws: `RPCError` with code `invalidArgument`.
    init(wire text: String) throws(RPCError) {
        do throws(SPIFFEError) {
            guard text.hasPrefix("spiffe://") else {
                try self.init(text)
                return
            }
            let id = try SPIFFEID(text)
            guard !id.hasPath else { throw SPIFFEError(.invalidTrustDomain, "trust domain has a path") }
            self = id.trustDomain
        } catch { throw RPCError(code: .invalidArgument, message: "trust domain: \(error.message)") }
    }
}

extension FederatedBundle {
    /// Reads a bundle of another trust domain.
    ///
    /// - Throws: `RPCError` with code `invalidArgument`.
    init(wire: Spire_Api_Types_Bundle) throws(RPCError) {
        let domain = try TrustDomain(wire: wire.trustDomain)
        guard wire.refreshHint >= 0 else {
            throw RPCError(code: .invalidArgument, message: "refresh hint is negative")
        }
        guard wire.witAuthorities.isEmpty else {
            throw RPCError(code: .invalidArgument, message: "WIT authorities are not supported")
        }
        let (keys, ends) = try Self.jwtAuthorities(wire.jwtAuthorities)
        let trust = TrustBundle(
            trustDomain: domain, x509Authorities: try Self.x509Authorities(wire.x509Authorities), jwtAuthorities: keys,
            sequence: wire.sequenceNumber == 0 ? nil : wire.sequenceNumber,
            refreshHint: wire.refreshHint == 0 ? nil : UInt64(clamping: wire.refreshHint))
        do throws(FederationError) { try self.init(trust, jwtEnds: ends) } catch { throw RPCError(error) }
    }

    private static func x509Authorities(_ wire: [Spire_Api_Types_X509Certificate]) throws(RPCError) -> [Certificate] {
        guard wire.count <= maximumAuthorities else {
            throw RPCError(FederationError.tooManyAuthorities(limit: maximumAuthorities))
        }
        var certificates: [Certificate] = []
        for authority in wire {
            // One could otherwise hide behind another, and be missed by whoever reviews the list.
            guard let found = try? DERConcatenation.certificates(in: authority.asn1), found.count == 1 else {
                throw RPCError(code: .invalidArgument, message: "X.509 authority is not one certificate")
            }
            certificates += found
        }
        return certificates
    }

    private static func jwtAuthorities(
        _ wire: [Spire_Api_Types_JWTKey]
    ) throws(RPCError) -> (keys: [String: JWTVerificationKey], ends: [String: Date]) {
        var (keys, ends): ([String: JWTVerificationKey], [String: Date]) = ([:], [:])
        guard wire.count <= maximumAuthorities else {
            throw RPCError(FederationError.tooManyAuthorities(limit: maximumAuthorities))
        }
        for authority in wire {
            guard (1...255).contains(authority.keyID.utf8.count) else {
                throw RPCError(code: .invalidArgument, message: "JWT authority: key ID is missing or too long")
            }
            let key: JWTVerificationKey
            do throws(SPIFFEError) { key = try JWTVerificationKey(derRepresentation: authority.publicKey) } catch {
                throw RPCError(code: .invalidArgument, message: "JWT authority: \(error.message)")
            }
            guard authority.expiresAt >= 0 else {
                throw RPCError(code: .invalidArgument, message: "JWT authority: expiry is before 1970")
            }
            guard keys.updateValue(key, forKey: authority.keyID) == nil else {
                throw RPCError(code: .invalidArgument, message: "JWT authority: a key ID is there twice")
            }
            if authority.expiresAt > 0 {
                ends[authority.keyID] = Date(timeIntervalSince1970: TimeInterval(authority.expiresAt))
            }
        }
        return (keys, ends)
    }
}

extension FederatedBundlePatch {
    init(wire: Spire_Api_Types_Bundle, mask: Spire_Api_Types_BundleMask?) throws(RPCError) {
        self.init(try FederatedBundle(wire: wire))
        guard let mask else { return }
        (replacesX509, replacesJWT) = (mask.x509Authorities, mask.jwtAuthorities)
        (replacesRefreshHint, replacesSequence) = (mask.refreshHint, mask.sequenceNumber)
    }
}

extension Spire_Api_Types_Bundle {
    /// Writes the bundle of another trust domain; without a mask, everything.
    init(_ bundle: FederatedBundle, mask: Spire_Api_Types_BundleMask?) throws {
        self.init()
        trustDomain = bundle.trustDomain.name
        if mask?.x509Authorities ?? true {
            x509Authorities = try bundle.trust.x509.authorities.map { certificate in
                let der = try certificate.derBytes()
                return .with { $0.asn1 = Data(der) }
            }
        }
        if mask?.jwtAuthorities ?? true {
            jwtAuthorities = bundle.trust.jwt.authorities.sorted { $0.key < $1.key }.map { keyID, key in
                .with {
                    $0.keyID = keyID
                    $0.publicKey = key.derRepresentation
                    $0.expiresAt = bundle.jwtEnds[keyID].map { $0.unixSeconds } ?? 0
                }
            }
        }
        if mask?.refreshHint ?? true { refreshHint = Int64(clamping: bundle.trust.refreshHint ?? 0) }
        if mask?.sequenceNumber ?? true { sequenceNumber = bundle.trust.sequence ?? 0 }
    }
}

extension BundleDeletion {
    init(wire: Spire_Api_Server_Bundle_V1_BatchDeleteFederatedBundleRequest.Mode) throws(RPCError) {
        switch wire {
        case .restrict: self = .restrict
        case .delete: self = .delete
        case .dissociate: self = .dissociate
        case .UNRECOGNIZED: throw RPCError(code: .invalidArgument, message: "unknown mode of deletion")
        }
    }
}

extension BundleEndpointURL {
    init(wire text: String) throws(RPCError) {
        do throws(FederationError) { try self.init(text) } catch { throw RPCError(error) }
    }
}

extension BundleEndpoint.Profile {
    init(
        wire: Spire_Api_Types_FederationRelationship.OneOf_BundleEndpointProfile?
    ) throws(RPCError) {
        switch wire {
        case .httpsWeb: self = .web
        case .httpsSpiffe(let profile):
            do throws(SPIFFEError) { self = .spiffe(try SPIFFEID(profile.endpointSpiffeID)) } catch {
                throw RPCError(code: .invalidArgument, message: "endpoint SPIFFE ID: \(error.message)")
            }
        case nil: throw RPCError(code: .invalidArgument, message: "bundle endpoint profile is missing")
        }
    }

    var wire: Spire_Api_Types_FederationRelationship.OneOf_BundleEndpointProfile {
        switch self {
        case .web: .httpsWeb(.init())
        case .spiffe(let id): .httpsSpiffe(.with { $0.endpointSpiffeID = "\(id)" })
        }
    }
}

extension FederationRelationshipDraft {
    init(wire: Spire_Api_Types_FederationRelationship) throws(RPCError) {
        let endpoint = BundleEndpoint(
            url: try BundleEndpointURL(wire: wire.bundleEndpointURL),
            profile: try BundleEndpoint.Profile(wire: wire.bundleEndpointProfile))
        self.init(
            FederationRelationship(trustDomain: try TrustDomain(wire: wire.trustDomain), endpoint: endpoint),
            bundle: wire.hasTrustDomainBundle ? try FederatedBundle(wire: wire.trustDomainBundle) : nil)
    }
}

extension FederationRelationshipPatch {
    init(
        wire: Spire_Api_Types_FederationRelationship, mask: Spire_Api_Types_FederationRelationshipMask
    ) throws(RPCError) {
        self.init(
            trustDomain: try TrustDomain(wire: wire.trustDomain),
            url: mask.bundleEndpointURL ? try BundleEndpointURL(wire: wire.bundleEndpointURL) : nil,
            profile: mask.bundleEndpointProfile
                ? try BundleEndpoint.Profile(wire: wire.bundleEndpointProfile) : nil,
            bundle: mask.trustDomainBundle && wire.hasTrustDomainBundle
                ? try FederatedBundle(wire: wire.trustDomainBundle) : nil)
    }
}

extension Spire_Api_Types_FederationRelationshipMask {
    static let all = Spire_Api_Types_FederationRelationshipMask.with {
        $0.bundleEndpointURL = true
        $0.bundleEndpointProfile = true
        $0.trustDomainBundle = true
    }
}

extension Spire_Api_Types_FederationRelationship {
    /// Writes a relationship, with the bundle that is held now.
    init(
        _ relationship: FederationRelationship, bundle: FederatedBundle?,
        mask: Spire_Api_Types_FederationRelationshipMask
    ) throws {
        self.init()
        trustDomain = relationship.trustDomain.name
        if mask.bundleEndpointURL { bundleEndpointURL = relationship.endpoint.url.text }
        if mask.bundleEndpointProfile { bundleEndpointProfile = relationship.endpoint.profile.wire }
        if mask.trustDomainBundle, let bundle { trustDomainBundle = try Spire_Api_Types_Bundle(bundle, mask: nil) }
    }
}

extension FederatedBundle {
    /// Bytes on the wire, about.
    var approximateSize: Int { 300 + trust.x509.authorities.count * 1500 + trust.jwt.authorities.count * 400 }
}
