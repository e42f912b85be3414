internal import Crypto

extension SigningRequest {
    /// SHA-256 of the requested key.
    var keyDigest: [UInt8] { Array(SHA256.hash(data: key.info)) }
}
