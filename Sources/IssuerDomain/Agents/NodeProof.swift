package import SPIFFE

/// What an attestor found a node to be.
package struct NodeProof: Hashable, Sendable {
    /// The most selectors kept of one node.
    package static let maximumSelectors = 256

    /// The `type` of the attestation data.
    package let type: String
    package let id: SPIFFEID
    package let selectors: [Selector]
    /// False where the proof is trusted on first use only.
    package let canReattest: Bool

    /// Judges where an attestor places a node.
    ///
    /// - Parameters:
    ///   - type: The attestor's name; the node's ID lies below it, out of reach of all other attestors.
    ///   - path: What follows `/spire/agent/`.
    ///   - selectors: What was proven; each is kept once, in order.
    ///   - canReattest: Whether the proof may be repeated.
    ///   - trustDomain: The issuer's.
    /// - Throws: ``AgentRefusal/attestation(_:)``.
    package init(
        type: String, path: String, selectors: [Selector], canReattest: Bool, in trustDomain: TrustDomain
    ) throws(AgentRefusal) {
        guard path.hasPrefix("\(type)/") else {
            throw .attestation(.init(.refused, "the agent's ID would not lie below '\(type)'"))
        }
        let sorted = Set(selectors).sorted()
        guard sorted.count <= Self.maximumSelectors else {
            throw .attestation(.init(.refused, "more than \(Self.maximumSelectors) selectors"))
        }
        do throws(SPIFFEError) { id = try SPIFFEID(trustDomain: trustDomain, path: "/spire/agent/\(path)") } catch {
            throw .attestation(.init(.refused, "what was proven makes no SPIFFE ID: \(error.message)"))
        }
        (self.type, self.selectors, self.canReattest) = (type, sorted, canReattest)
    }
}

/// What letting a node in came to.
package struct NodeAdmission: Sendable {
    package let svid: IssuedX509SVID
    /// Whether the agent must repeat its proof instead of renewing.
    package let canReattest: Bool
    /// Whether what the agent may serve can have changed.
    package let hasNewSelectors: Bool

    package init(svid: IssuedX509SVID, canReattest: Bool, hasNewSelectors: Bool) {
        (self.svid, self.canReattest, self.hasNewSelectors) = (svid, canReattest, hasNewSelectors)
    }
}
