internal import Foundation
package import NIOSSL
internal import X509
internal import SPIFFE

/// A chain and its key as TLS takes them.
package struct TLSMaterial: Sendable {
    package let chain: [NIOSSLCertificate]
    package let key: NIOSSLPrivateKey

    /// Loads a chain and its key.
    ///
    /// - Parameters:
    ///   - chain: DER, leaf first.
    ///   - key: PKCS#8 DER.
    /// - Throws: `NIOSSLError` when one cannot be loaded.
    package init(chain: [[UInt8]], key: some Sequence<UInt8>) throws {
        self.chain = try chain.map { try NIOSSLCertificate(bytes: $0, format: .der) }
        self.key = try NIOSSLPrivateKey(bytes: Array(key), format: .der)
    }
}
