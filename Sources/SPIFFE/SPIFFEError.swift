/// Why a value was refused: a code to switch over, and a sentence for people.
///
/// Branch on ``code``; the wording of ``message`` may change between releases.
public struct SPIFFEError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What kind of rule was broken.
    ///
    /// New codes may be added.
    public struct Code: Hashable, Sendable, CustomStringConvertible {
        /// The code as it is written in logs.
        public let description: String

        private init(_ description: String) { self.description = description }

        /// A trust domain name breaks SPIFFE-ID §2.1.
        public static let invalidTrustDomain = Code("invalid_trust_domain")
        /// A SPIFFE ID breaks SPIFFE-ID §2.
        public static let invalidID = Code("invalid_id")
        /// A workload endpoint address breaks SPIFFE Workload Endpoint §4.
        public static let invalidEndpoint = Code("invalid_endpoint")
        /// A certificate or chain cannot be parsed or breaks the X.509-SVID profile.
        public static let invalidX509SVID = Code("invalid_x509_svid")
        /// A private key cannot be parsed or does not belong to its certificate.
        public static let invalidPrivateKey = Code("invalid_private_key")
        /// A token cannot be parsed or breaks the JWT-SVID profile.
        public static let invalidJWTSVID = Code("invalid_jwt_svid")
        /// A bundle document or authority cannot be parsed or breaks its profile.
        public static let invalidBundle = Code("invalid_bundle")
        /// No bundle is held for the trust domain in question (X509-30, JWT-18).
        public static let unknownTrustDomain = Code("unknown_trust_domain")
        /// No authority in the bundle vouches for it.
        public static let untrusted = Code("untrusted")
        /// An authority in the bundle vouches for it, but has also listed it as revoked.
        public static let revoked = Code("revoked")
        /// A revocation list is of a kind that is not understood, such as a delta list.
        public static let unsupportedRevocationList = Code("unsupported_revocation_list")
        /// A certificate revocation list cannot be parsed or is of a kind that is not understood.
        public static let invalidRevocationList = Code("invalid_revocation_list")
        /// It is not valid at the instant asked about.
        public static let outsideValidity = Code("outside_validity")
        /// The token is meant for someone else (JWT-15).
        public static let audienceMismatch = Code("audience_mismatch")
        /// A JSON text is malformed, names a member twice, or is too large.
        public static let invalidJSON = Code("invalid_json")
    }

    /// The kind of rule that was broken.
    public let code: Code

    /// What is wrong, for people.
    ///
    /// Never holds key material or whole tokens.
    public let message: String

    /// Creates an error.
    ///
    /// - Parameters:
    ///   - code: The kind of rule that was broken.
    ///   - message: What is wrong, for people.
    public init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    /// The message alone.
    public var description: String { message }
}
