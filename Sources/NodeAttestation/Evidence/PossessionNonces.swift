internal import Crypto
internal import Foundation
internal import Platform

/// The nonces under which a node signs: one that the issuer drew, and one of its own, so that neither chooses what is
/// signed.
struct PossessionNonces: Sendable {
    static let length = 32

    let challenger: [UInt8]
    let responder: [UInt8]

    /// Pairs two nonces.
    ///
    /// - Throws: ``NodeAttestationError/malformed(_:)`` when one is not of ``length`` bytes.
    init(challenger: [UInt8], responder: [UInt8]) throws(NodeAttestationError) {
        guard challenger.count == Self.length else { throw .malformed("the challenge's nonce has a wrong length") }
        guard responder.count == Self.length else { throw .malformed("the answer's nonce has a wrong length") }
        (self.challenger, self.responder) = (challenger, responder)
    }

    /// SHA-256 over both, the challenger's first.
    var digest: SHA256Digest { SHA256.hash(data: challenger + responder) }

    /// Draws a nonce.
    static func draw() -> [UInt8] {
        var entropy = SystemEntropy()
        return entropy.bytes(length)
    }
}
