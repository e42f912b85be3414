#if Hummingbird
    package import SPIFFE
    public import WorkloadIdentity

    /// What a caller may prove its identity with.
    public struct AcceptedProof: Sendable {
        typealias Verifier = @Sendable (String) async throws(PeerRefusal) -> JWTSVID

        /// Judges tokens; nil when they do not count.
        let verifier: Verifier?
        let acceptsCertificate: Bool

        /// The certificate of the connection alone.
        ///
        /// The connection must come through ``WorkloadTLSChannel``. An `Authorization` header is not looked at.
        public static let certificate = AcceptedProof(verifier: nil, acceptsCertificate: true)

        /// A bearer token alone, whatever the connection.
        ///
        /// - Parameters:
        ///   - source: Whose bundles to judge by.
        ///   - audience: The name that this service goes by; a token for another is refused.
        /// - Returns: The rule.
        public static func token(verifiedBy source: JWTSource, audience: String) -> AcceptedProof {
            AcceptedProof(verifier: verifier(source, audience: audience), acceptsCertificate: false)
        }

        /// A bearer token alone, whatever the connection.
        ///
        /// - Parameters:
        ///   - source: Whose bundles to judge by.
        ///   - audience: The name that this service goes by; a token for another is refused.
        /// - Returns: The rule.
        public static func token(verifiedBy source: BundleSource, audience: String) -> AcceptedProof {
            AcceptedProof(verifier: verifier(source, audience: audience), acceptsCertificate: false)
        }

        /// A bearer token, or else the certificate of the connection.
        ///
        /// A request that carries a token is judged by it alone: a bad one is refused however good the certificate, since a
        /// proxy's certificate must not stand in for the caller behind it.
        ///
        /// - Parameters:
        ///   - source: Whose bundles to judge tokens by.
        ///   - audience: The name that this service goes by; a token for another is refused.
        /// - Returns: The rule.
        public static func either(verifiedBy source: JWTSource, audience: String) -> AcceptedProof {
            AcceptedProof(verifier: verifier(source, audience: audience), acceptsCertificate: true)
        }

        /// A bearer token, or else the certificate of the connection.
        ///
        /// A request that carries a token is judged by it alone, as with a `JWTSource`.
        ///
        /// - Parameters:
        ///   - source: Whose bundles to judge tokens by.
        ///   - audience: The name that this service goes by; a token for another is refused.
        /// - Returns: The rule.
        public static func either(verifiedBy source: BundleSource, audience: String) -> AcceptedProof {
            AcceptedProof(verifier: verifier(source, audience: audience), acceptsCertificate: true)
        }

        /// Creates a rule with any judge of tokens.
        ///
        /// - Parameters:
        ///   - verifier: Judges tokens; nil when they do not count.
        ///   - acceptsCertificate: Whether the connection's certificate counts.
        package init(
            verifier: (@Sendable (String) async throws(PeerRefusal) -> JWTSVID)?, acceptsCertificate: Bool
        ) {
            (self.verifier, self.acceptsCertificate) = (verifier, acceptsCertificate)
        }

        private static func verifier(_ source: JWTSource, audience: String) -> Verifier {
            { token throws(PeerRefusal) in
                do throws(SPIFFEError) {
                    return try source.validate(token, audience: audience)
                } catch {
                    throw await refusal(error, bundles: source.updates)
                }
            }
        }

        private static func verifier(_ source: BundleSource, audience: String) -> Verifier {
            { token throws(PeerRefusal) in
                do throws(SPIFFEError) {
                    return try JWTSVID.verify(token, audience: audience, at: MachineClock.now()) {
                        source.jwtBundle(for: $0)
                    }
                } catch {
                    throw await refusal(error, bundles: source.jwtUpdates)
                }
            }
        }

        /// Tells a token of a domain that is not trusted from the lack of any bundle, which is this side's fault.
        package static func refusal(
            _ error: SPIFFEError, bundles: SourceUpdates<[TrustDomain: JWTBundle]>
        ) async -> PeerRefusal {
            guard error.code == .unknownTrustDomain else { return PeerRefusal(error) }
            var iterator = bundles.makeAsyncIterator()
            switch await iterator.next() {
            case .success(let held)? where !held.isEmpty: return PeerRefusal(error)
            case .success?: return PeerRefusal(.unavailable, "no JWT bundle is held")
            case .failure(let reason)?: return PeerRefusal(.unavailable, reason.message)
            case nil: return PeerRefusal(.unavailable, "the source was closed")
            }
        }
    }
#endif
