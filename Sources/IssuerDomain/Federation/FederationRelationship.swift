package import SPIFFE

/// How the bundle of another trust domain is kept fresh.
package struct FederationRelationship: Hashable, Sendable {
    package let trustDomain: TrustDomain
    package var endpoint: BundleEndpoint

    package init(trustDomain: TrustDomain, endpoint: BundleEndpoint) {
        (self.trustDomain, self.endpoint) = (trustDomain, endpoint)
    }
}

/// A relationship that somebody would like to exist, and where trust in its endpoint starts.
package struct FederationRelationshipDraft: Sendable {
    package let relationship: FederationRelationship
    /// Takes the place of the bundle that is held.
    package let bundle: FederatedBundle?

    package init(_ relationship: FederationRelationship, bundle: FederatedBundle? = nil) {
        (self.relationship, self.bundle) = (relationship, bundle)
    }
}

/// What somebody would like changed in a relationship; what is nil stays.
package struct FederationRelationshipPatch: Sendable {
    package let trustDomain: TrustDomain
    package let url: BundleEndpointURL?
    package let profile: BundleEndpoint.Profile?
    package let bundle: FederatedBundle?

    package init(
        trustDomain: TrustDomain, url: BundleEndpointURL? = nil, profile: BundleEndpoint.Profile? = nil,
        bundle: FederatedBundle? = nil
    ) {
        (self.trustDomain, self.url, self.profile, self.bundle) = (trustDomain, url, profile, bundle)
    }
}
