package import SPIFFE
package import X509

/// Which certificates `x509pop` lets in, and what their nodes are called.
package struct X509PoPSettings: Sendable {
    /// Whom certificates must lead to.
    package enum Trust: Sendable {
        /// Authorities of another PKI.
        case external([Certificate])
        /// This trust domain's own: a node shows an X.509-SVID whose path starts with the prefix.
        case ownSVIDs(prefix: String, bundle: @Sendable () -> X509Bundle)
    }

    /// What placeholders of a path template may name.
    package static let templateFields: Set<String> = [
        "PluginName", "TrustDomain", "Fingerprint", "SerialNumberHex", "Subject.CommonName", "SVIDPathTrimmed",
        "URISanSelectors.",
    ]

    package let trust: Trust
    /// Nil for the fingerprint, or the rest of the SVID's path.
    package var pathTemplate: PathTemplate?
    /// How many certificates may follow the leaf.
    package var maximumIntermediates: Int
    /// The largest RSA key, in bits.
    package var maximumRSABits: Int
    /// Whether the call must come from an address that the certificate names.
    package var verifiesClientAddress: Bool

    package init(
        trust: Trust, pathTemplate: PathTemplate? = nil, maximumIntermediates: Int = 4, maximumRSABits: Int = 8192,
        verifiesClientAddress: Bool = false
    ) {
        (self.trust, self.pathTemplate) = (trust, pathTemplate)
        (self.maximumIntermediates, self.maximumRSABits) = (maximumIntermediates, maximumRSABits)
        self.verifiesClientAddress = verifiesClientAddress
    }
}
