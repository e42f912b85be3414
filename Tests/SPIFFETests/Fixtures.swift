import CryptoExtras
import SPIFFE

extension TrustDomain {
    /// `example.org`, which the tests' authorities speak for.
    static var example: TrustDomain { get throws(SPIFFEError) { try TrustDomain("example.org") } }
}

/// Keys that take long to make.
enum RSAKeys {
    static let shared = Result { try _RSA.Signing.PrivateKey(keySize: .bits2048) }
    static let other = Result { try _RSA.Signing.PrivateKey(keySize: .bits2048) }
}
