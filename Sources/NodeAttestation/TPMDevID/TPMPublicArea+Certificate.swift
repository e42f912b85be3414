internal import Crypto
internal import CryptoExtras
internal import Foundation
package import X509

extension TPMPublicArea {
    /// The key as certificates have it; nil when it is no key, such as a point off its curve.
    package var certificateKey: Certificate.PublicKey? {
        switch key {
        case .rsa(_, let modulus):
            (try? _RSA.Signing.PublicKey(n: Data(modulus), e: Data([1, 0, 1]))).map { Certificate.PublicKey($0) }
        case .elliptic(.p256, let x, let y):
            (try? P256.Signing.PublicKey(x963Representation: [4] + x + y)).map { Certificate.PublicKey($0) }
        case .elliptic(.p384, let x, let y):
            (try? P384.Signing.PublicKey(x963Representation: [4] + x + y)).map { Certificate.PublicKey($0) }
        }
    }
}

extension TPMSignatureScheme {
    /// The algorithm as certificates call it.
    package var certificateAlgorithm: Certificate.SignatureAlgorithm {
        switch self {
        case .rsassa(.sha256): .sha256WithRSAEncryption
        case .rsassa(.sha384): .sha384WithRSAEncryption
        case .rsassa(.sha512): .sha512WithRSAEncryption
        case .ecdsa(.sha256): .ecdsaWithSHA256
        case .ecdsa(.sha384): .ecdsaWithSHA384
        case .ecdsa(.sha512): .ecdsaWithSHA512
        }
    }
}
