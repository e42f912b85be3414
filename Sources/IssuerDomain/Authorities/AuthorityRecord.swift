package import Foundation

/// What is known of a signing authority apart from its private key.
package struct AuthorityRecord: Hashable, Sendable, Identifiable {
    package enum Kind: String, Sendable, CaseIterable {
        case x509
        case jwt
    }

    /// Where an authority stands in its life.
    package enum State: String, Sendable {
        /// Published, not yet signing, so that everyone knows it before it does.
        case prepared
        /// Signing.
        case active
        /// No longer signing; published until the last it signed has ended.
        case retired
    }

    /// For X.509 the subject key identifier in hex, for JWT the key ID.
    package let id: String
    package let kind: Kind
    package var state: State
    package let notBefore: Date
    package let notAfter: Date
    /// The name of its private key in the key store.
    package let keyName: String
    /// For X.509 the certificate, for JWT the SubjectPublicKeyInfo; DER.
    package let publicDER: [UInt8]

    package init(
        id: String, kind: Kind, state: State, notBefore: Date, notAfter: Date, keyName: String, publicDER: [UInt8]
    ) {
        self.id = id
        self.kind = kind
        self.state = state
        self.notBefore = notBefore
        self.notAfter = notAfter
        self.keyName = keyName
        self.publicDER = publicDER
    }
}
