/// Raises a signature to an RSA key's public exponent: what every RSA signature scheme begins with (RFC 8017 §5.2.2).
///
/// The crypto library offers the schemes only whole, and of PSS only the kind with a salt as long as the digest. All
/// numbers here are public, so nothing is hidden from who measures time.
struct RSAPublicOperation {
    /// The largest key, in bits: what a hostile one may cost is bounded by it.
    static let maximumBits = 8192
    static let minimumBits = 1024

    /// Bits of the modulus.
    let bits: Int
    private let modulus: [UInt32]
    private let exponent: UInt64

    /// Prepares a key; nil for one that no sound one looks like.
    ///
    /// - Parameters:
    ///   - modulus: Big-endian; odd.
    ///   - exponent: Big-endian; odd, and of at most 33 bits, as the crypto library demands of keys as well.
    init?(modulus: [UInt8], exponent: [UInt8]) {
        let digits = modulus.drop { $0 == 0 }
        guard let first = digits.first, let last = digits.last, last & 1 == 1 else { return nil }
        guard digits.count <= Self.maximumBits / 8 else { return nil }
        bits = digits.count * 8 - first.leadingZeroBitCount
        guard bits >= Self.minimumBits else { return nil }
        let power = exponent.drop { $0 == 0 }
        guard (1...5).contains(power.count) else { return nil }
        let value = power.reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        guard value & 1 == 1, value > 1, value < 1 << 33 else { return nil }
        self.exponent = value
        self.modulus = Self.limbs(digits, count: (digits.count + 3) / 4)
    }

    /// Bytes of the modulus, and of what ``callAsFunction(_:)`` takes and gives.
    var length: Int { (bits + 7) / 8 }

    /// Computes `signature ^ exponent mod modulus`.
    ///
    /// - Parameter signature: Big-endian, of ``length`` bytes.
    /// - Returns: Big-endian, of ``length`` bytes; nil when the signature is not below the modulus.
    func callAsFunction(_ signature: [UInt8]) -> [UInt8]? {
        guard signature.count == length else { return nil }
        let base = Self.limbs(signature[...], count: modulus.count)
        guard Self.isLess(base, modulus) else { return nil }
        let inverse = negatedInverse
        let squaredRadix = squaredRadix
        let tip = product(base, squaredRadix, inverse)
        var result = tip
        for bit in (0..<(63 - exponent.leadingZeroBitCount)).reversed() {
            result = product(result, result, inverse)
            if exponent >> UInt64(bit) & 1 == 1 { result = product(result, tip, inverse) }
        }
        var one = [UInt32](repeating: 0, count: modulus.count)
        one[0] = 1
        result = product(result, one, inverse)
        let bytes = result.reversed().flatMap { limb in
            [UInt8(limb >> 24), UInt8(limb >> 16 & 0xFF), UInt8(limb >> 8 & 0xFF), UInt8(limb & 0xFF)]
        }
        return Array(bytes.suffix(length))
    }

    /// `-1 / modulus` modulo 2^32, by Newton's iteration.
    private var negatedInverse: UInt32 {
        var inverse = modulus[0]
        for _ in 0..<5 { inverse = inverse &* (2 &- modulus[0] &* inverse) }
        return 0 &- inverse
    }

    /// `2 ^ (2 · 32 · limbs)` modulo the modulus, by doubling.
    private var squaredRadix: [UInt32] {
        var value = [UInt32](repeating: 0, count: modulus.count)
        value[0] = 1
        for _ in 0..<(64 * modulus.count) {
            var carry: UInt32 = 0
            for index in value.indices {
                let next = value[index] >> 31
                value[index] = value[index] << 1 | carry
                carry = next
            }
            if carry == 1 || !Self.isLess(value, modulus) { Self.subtract(modulus, from: &value) }
        }
        return value
    }

    /// Montgomery's product of two numbers below the modulus.
    private func product(_ one: [UInt32], _ other: [UInt32], _ inverse: UInt32) -> [UInt32] {
        let count = modulus.count
        var sum = [UInt32](repeating: 0, count: count + 2)
        for digit in other {
            var carry: UInt64 = 0
            for index in 0..<count {
                let step = UInt64(sum[index]) + UInt64(one[index]) * UInt64(digit) + carry
                sum[index] = UInt32(truncatingIfNeeded: step)
                carry = step >> 32
            }
            var top = UInt64(sum[count]) + carry
            sum[count] = UInt32(truncatingIfNeeded: top)
            sum[count + 1] = UInt32(truncatingIfNeeded: top >> 32)
            let factor = UInt64(sum[0] &* inverse)
            carry = (UInt64(sum[0]) + factor * UInt64(modulus[0])) >> 32
            for index in 1..<count {
                let step = UInt64(sum[index]) + factor * UInt64(modulus[index]) + carry
                sum[index - 1] = UInt32(truncatingIfNeeded: step)
                carry = step >> 32
            }
            top = UInt64(sum[count]) + carry
            sum[count - 1] = UInt32(truncatingIfNeeded: top)
            sum[count] = sum[count + 1] &+ UInt32(truncatingIfNeeded: top >> 32)
        }
        var result = Array(sum[..<count])
        if sum[count] != 0 || !Self.isLess(result, modulus) { Self.subtract(modulus, from: &result) }
        return result
    }

    private static func limbs(_ bytes: ArraySlice<UInt8>, count: Int) -> [UInt32] {
        var limbs = [UInt32](repeating: 0, count: count)
        for (position, byte) in bytes.reversed().enumerated() where position / 4 < count {
            limbs[position / 4] |= UInt32(byte) << UInt32(8 * (position % 4))
        }
        return limbs
    }

    private static func isLess(_ one: [UInt32], _ other: [UInt32]) -> Bool {
        for index in other.indices.reversed() where one[index] != other[index] { return one[index] < other[index] }
        return false
    }

    private static func subtract(_ other: [UInt32], from value: inout [UInt32]) {
        var borrow: Int64 = 0
        for index in value.indices {
            let difference = Int64(value[index]) - Int64(other[index]) + borrow
            value[index] = UInt32(truncatingIfNeeded: difference)
            borrow = difference < 0 ? -1 : 0
        }
    }
}
