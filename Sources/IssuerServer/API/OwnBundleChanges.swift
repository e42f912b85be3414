internal import Foundation
internal import GRPCCore
internal import IssuerAPIProtos
internal import IssuerDomain
internal import Platform
internal import SPIFFE
internal import SwiftProtobuf

/// What is added to the trust domain's own bundle from outside.
struct OwnBundleChanges {
    /// The most authorities in one request.
    private static let maximumCount = 100

    let authorities: AuthorityKeeper

    /// Publishes authorities that an admin names.
    ///
    /// - Returns: The whole bundle after it.
    func append(
        _ request: Spire_Api_Server_Bundle_V1_AppendBundleRequest, now: Date
    ) async throws -> Spire_Api_Types_Bundle {
        let (certificates, keys) = (request.x509Authorities, request.jwtAuthorities)
        guard !certificates.isEmpty || !keys.isEmpty else {
            throw RPCError(code: .invalidArgument, message: "no authorities to append")
        }
        guard certificates.count + keys.count <= Self.maximumCount else {
            throw RPCError(code: .invalidArgument, message: "at most \(Self.maximumCount) authorities in one request")
        }
        var added: [ForeignAuthority] = []
        for certificate in certificates { added += try Self.x509(certificate) }
        for key in keys { added.append(try Self.jwt(key, now: now)) }
        try await authorities.append(added)
        return try Spire_Api_Types_Bundle(
            authorities.snapshot, mask: request.hasOutputMask ? request.outputMask : nil)
    }

    /// Publishes the key of a server below this one, for no longer than the server is one.
    ///
    /// - Returns: Every JWT authority of the bundle after it.
    func publish(
        _ request: Spire_Api_Server_Bundle_V1_PublishJWTAuthorityRequest, by publisher: SPIFFEID,
        power: DownstreamPower, now: Date
    ) async throws -> Spire_Api_Server_Bundle_V1_PublishJWTAuthorityResponse {
        guard request.hasJwtAuthority else {
            throw RPCError(code: .invalidArgument, message: "JWT authority is missing")
        }
        let longest = now + ForeignAuthority.longestPublication.timeInterval
        try await authorities.publish(
            try Self.jwt(request.jwtAuthority, latest: min(longest, power.end ?? longest), now: now), by: publisher,
            now: now)
        let bundle = try Spire_Api_Types_Bundle(authorities.snapshot, mask: nil)
        return .with { $0.jwtAuthorities = bundle.jwtAuthorities }
    }

    /// One message may hold several certificates, one after another.
    private static func x509(_ wire: Spire_Api_Types_X509Certificate) throws -> [ForeignAuthority] {
        guard wire.asn1.count <= ForeignAuthority.maximumCertificateLength else {
            throw RPCError(code: .invalidArgument, message: "X.509 authority is too long")
        }
        do {
            let certificates = try DERConcatenation.certificates(in: wire.asn1)
            guard !certificates.isEmpty else {
                throw RPCError(code: .invalidArgument, message: "X.509 authority is empty")
            }
            return try certificates.map { try ForeignAuthority(x509: $0.derBytes()) }
        } catch let error as SPIFFEError {
            throw RPCError(code: .invalidArgument, message: "X.509 authority: \(error.message)")
        }
    }

    private static func jwt(
        _ wire: Spire_Api_Types_JWTKey, latest: Date = .distantFuture, now: Date
    ) throws -> ForeignAuthority {
        guard wire.expiresAt >= 0 else {
            throw RPCError(code: .invalidArgument, message: "JWT authority ends before there was time")
        }
        return try ForeignAuthority(
            jwtKeyID: wire.keyID, der: Array(wire.publicKey),
            notAfter: wire.expiresAt == 0 ? nil : Date(timeIntervalSince1970: TimeInterval(wire.expiresAt)),
            latest: latest, now: now)
    }
}
