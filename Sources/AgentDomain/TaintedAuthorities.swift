/// The authorities of a bundle whose signatures are to be replaced, though they are still believed.
package struct TaintedAuthorities: Hashable, Sendable {
    /// Subject key identifiers of X.509 authorities, in hex.
    package let authorityKeyIDs: Set<String>
    /// Key IDs of JWT authorities.
    package let keyIDs: Set<String>

    package init(authorityKeyIDs: Set<String> = [], keyIDs: Set<String> = []) {
        (self.authorityKeyIDs, self.keyIDs) = (authorityKeyIDs, keyIDs)
    }
}
