internal import SwiftASN1
package import X509

extension Certificate {
    /// The certificate as one PEM block, ending in a newline.
    package func pemText() throws -> String { try serializeAsPEM().pemString + "\n" }
}

extension Certificate.SerialNumber {
    /// The number in lower-case hex.
    package var hexText: String {
        bytes.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
    }
}
