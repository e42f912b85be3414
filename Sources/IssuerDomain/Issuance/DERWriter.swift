package import Foundation

/// Writes DER (X.690 §8 and §10) into one buffer.
package struct DERWriter {
    package private(set) var bytes: [UInt8] = []

    package init(capacity: Int) { bytes.reserveCapacity(capacity) }

    /// Appends an element whose content the body writes.
    package mutating func element(_ tag: UInt8, _ body: (inout DERWriter) -> Void) {
        bytes.append(tag)
        bytes.append(0)
        let start = bytes.count
        body(&self)
        let length = bytes.count - start
        guard length > 0x7F else {
            bytes[start - 1] = UInt8(length)
            return
        }
        var octets: [UInt8] = []
        var rest = length
        while rest > 0 {
            octets.insert(UInt8(rest & 0xFF), at: 0)
            rest >>= 8
        }
        bytes[start - 1] = 0x80 | UInt8(octets.count)
        bytes.insert(contentsOf: octets, at: start)
    }

    /// Appends what is DER already.
    mutating func append(_ encoded: some Collection<UInt8>) { bytes.append(contentsOf: encoded) }

    /// Appends an element with content that is at hand.
    package mutating func element(_ tag: UInt8, content: some Collection<UInt8>) {
        element(tag) { $0.append(content) }
    }

    /// Appends an INTEGER that is not negative.
    ///
    /// - Parameter magnitude: Big-endian, with or without zeros in front.
    mutating func integer(_ magnitude: some Collection<UInt8>) {
        let digits = magnitude.drop { $0 == 0 }
        element(Tag.integer) { writer in
            // The top bit is the sign.
            if digits.first.map({ $0 & 0x80 != 0 }) ?? true { writer.append(CollectionOfOne<UInt8>(0)) }
            writer.append(digits)
        }
    }

    /// Appends a Time: UTCTime up to 2049, GeneralizedTime from then on (RFC 5280 §4.1.2.5).
    ///
    /// - Parameter instant: In whole seconds, within the years 1950 to 9999.
    package mutating func time(_ instant: Date) {
        let seconds = Int64(instant.timeIntervalSince1970.rounded(.down))
        let (days, second) = (seconds.flooredQuotient(86_400), Int(seconds.flooredRemainder(86_400)))
        let (year, month, day) = Self.civil(days)
        let isShort = (1950...2049).contains(year)
        element(isShort ? Tag.utcTime : Tag.generalizedTime) { writer in
            if !isShort { writer.twoDigits(year / 100) }
            for number in [year % 100, month, day, second / 3600, second / 60 % 60, second % 60] {
                writer.twoDigits(number)
            }
            writer.append(CollectionOfOne(UInt8(ascii: "Z")))
        }
    }

    private mutating func twoDigits(_ number: Int) {
        bytes.append(UInt8(ascii: "0") + UInt8(number / 10 % 10))
        bytes.append(UInt8(ascii: "0") + UInt8(number % 10))
    }

    /// The date of a day counted from 1970, in the Gregorian calendar: years start in March, so that a leap day is last.
    private static func civil(_ days: Int64) -> (year: Int, month: Int, day: Int) {
        let shifted = days + 719_468
        let era = shifted.flooredQuotient(146_097)
        let dayOfEra = Int(shifted - era * 146_097)
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        let year = Int(era) * 400 + yearOfEra + (month <= 2 ? 1 : 0)
        return (year, month, dayOfYear - (153 * shiftedMonth + 2) / 5 + 1)
    }

    /// The tags that certificates are made of.
    enum Tag {
        static let boolean: UInt8 = 0x01
        static let integer: UInt8 = 0x02
        static let bitString: UInt8 = 0x03
        static let octetString: UInt8 = 0x04
        static let objectIdentifier: UInt8 = 0x06
        static let utf8String: UInt8 = 0x0C
        static let utcTime: UInt8 = 0x17
        static let generalizedTime: UInt8 = 0x18
        static let sequence: UInt8 = 0x30
        static let set: UInt8 = 0x31
    }
}

extension Int64 {
    fileprivate func flooredQuotient(_ divisor: Int64) -> Int64 {
        let quotient = self / divisor
        return self % divisor < 0 ? quotient - 1 : quotient
    }

    fileprivate func flooredRemainder(_ divisor: Int64) -> Int64 { self - flooredQuotient(divisor) * divisor }
}
