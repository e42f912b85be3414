package import NodeAttestation
package import OutboundHTTP
package import SPIFFE

/// What an attestor may use of the issuer it works for.
package struct NodeAttestorSurroundings: Sendable {
    package let trustDomain: TrustDomain
    /// The trust domain's authorities at any moment.
    package let bundle: @Sendable () -> X509Bundle
    /// How to call others.
    package let fetcher: any HTTPFetcher
}

/// A way to attest nodes that a configuration asks for.
package struct NodeAttestorPlan: Sendable {
    package let type: String
    package let make: @Sendable (NodeAttestorSurroundings) -> any NodeAttestor

    /// Plans an attestor.
    ///
    /// - Parameters:
    ///   - type: Its name; no other plan has it.
    ///   - make: Makes it once the issuer is there; its settings have been judged.
    package init(_ type: String, make: @escaping @Sendable (NodeAttestorSurroundings) -> any NodeAttestor) {
        (self.type, self.make) = (type, make)
    }
}

/// The ways to attest nodes that this issuer knows, beside join tokens.
struct NodeAttestors: Sendable {
    private let byType: [String: any NodeAttestor]

    init(_ attestors: [any NodeAttestor]) {
        byType = Dictionary(attestors.map { ($0.type, $0) }, uniquingKeysWith: { one, _ in one })
    }

    subscript(type: String) -> (any NodeAttestor)? { byType[type] }
}
