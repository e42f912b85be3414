public import SPIFFE

/// Who calls, proven: by the certificate of a TLS connection or by a token.
public struct PeerIdentity: Sendable {
    /// What proved it.
    public enum Proof: Sendable {
        /// The certificate of the connection; it lasts as long as the connection does.
        case x509(VerifiedX509SVID)
        /// A bearer token; it came with this one request.
        case jwt(JWTSVID)
    }

    /// What proved it.
    public let proof: Proof

    /// Who calls.
    public var id: SPIFFEID {
        switch proof {
        case .x509(let svid): svid.id
        case .jwt(let svid): svid.id
        }
    }

    /// A peer known by its certificate.
    ///
    /// - Parameter svid: The verified SVID.
    public init(_ svid: VerifiedX509SVID) { proof = .x509(svid) }

    /// A caller known by its token.
    ///
    /// - Parameter svid: The verified SVID.
    public init(_ svid: JWTSVID) { proof = .jwt(svid) }
}

extension PeerIdentity: CustomStringConvertible {
    /// The SPIFFE ID.
    public var description: String { "\(id)" }
}
