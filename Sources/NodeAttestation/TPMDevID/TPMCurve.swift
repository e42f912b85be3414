/// The elliptic curves that TPMs have and that are relied on, by their numbers (TPM 2.0 Part 2 §6.4).
package enum TPMCurve: UInt16, Hashable, Sendable {
    case p256 = 0x0003
    case p384 = 0x0004

    /// Bytes of a coordinate.
    package var size: Int {
        switch self {
        case .p256: 32
        case .p384: 48
        }
    }
}
