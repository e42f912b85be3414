package import Platform

/// A certificate chain with its key, as TLS presents it.
package struct TLSIdentity: Hashable, Sendable {
    /// DER, leaf first.
    package let chain: [[UInt8]]
    /// PKCS#8 DER.
    package let key: SecretBytes

    package init(chain: [[UInt8]], key: SecretBytes) { (self.chain, self.key) = (chain, key) }
}
