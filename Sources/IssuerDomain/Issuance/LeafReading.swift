internal import Foundation
internal import SPIFFE
internal import X509

/// Reads a signed leaf byte by byte, and finds out whether it says what was decided.
///
/// It shares no code with ``DERWriter``, so that a mistake there cannot hide here, and makes no objects on its way: it is
/// done for every leaf.
package struct LeafReading {
    private let der: [UInt8]
    /// `TBSCertificate`, whole.
    let toBeSigned: Range<Int>
    /// `AlgorithmIdentifier`, whole.
    private let algorithm: Range<Int>
    /// Without the count of unused bits, which is zero.
    let signature: Range<Int>

    /// Finds the parts of a certificate (RFC 5280 §4.1); nil when there are others.
    package init?(_ der: [UInt8]) {
        typealias Tag = DERWriter.Tag
        guard let certificate = DERCursor.only(Tag.sequence, in: der[...]) else { return nil }
        var parts = DERCursor(der[certificate])
        guard let body = parts.next(Tag.sequence), let algorithm = parts.next(Tag.sequence),
            let signature = parts.next(Tag.bitString), parts.isAtEnd, der[signature.content].first == 0
        else { return nil }
        self.der = der
        (toBeSigned, self.algorithm) = (body.whole, algorithm.whole)
        self.signature = signature.content.dropFirst()
    }

    /// Finds the first thing that differs from what was decided.
    ///
    /// - Returns: Its name as RFC 5280 §4.1 and §4.2 have it; nil when all is as it should be.
    package func firstDifference(from template: LeafTemplate, under pattern: LeafPattern) -> String? {
        typealias Tag = DERWriter.Tag
        guard holds(algorithm, pattern.algorithm) else { return "signatureAlgorithm" }
        guard let content = DERCursor.only(Tag.sequence, in: der[toBeSigned]) else { return "tbsCertificate" }
        var fields = DERCursor(der[content])
        guard let version = fields.next(0xA0), holds(version.content, [0x02, 0x01, 0x02]) else { return "version" }
        guard let serial = fields.next(Tag.integer),
            der[serial.content].drop(while: { $0 == 0 }).elementsEqual(template.serial.bytes)
        else { return "serialNumber" }
        guard let algorithm = fields.next(Tag.sequence), holds(algorithm.whole, pattern.algorithm) else {
            return "signature"
        }
        guard let issuer = fields.next(Tag.sequence), holds(issuer.whole, pattern.issuer) else { return "issuer" }
        guard let validity = fields.next(Tag.sequence), isValidity(validity.content, template.validity) else {
            return "validity"
        }
        guard let subject = fields.next(Tag.sequence), !subject.content.isEmpty else { return "subject" }
        guard let key = fields.next(Tag.sequence), holds(key.whole, template.key.info) else {
            return "subjectPublicKeyInfo"
        }
        guard let explicit = fields.next(0xA3), fields.isAtEnd,
            let extensions = DERCursor.only(Tag.sequence, in: der[explicit.content])
        else { return "extensions" }
        return firstDifference(in: extensions, from: template)
    }

    /// Every extension once, and none but these (X509-08, X509-10, X509-25..29).
    private func firstDifference(in extensions: Range<Int>, from template: LeafTemplate) -> String? {
        typealias Tag = DERWriter.Tag
        var cursor = DERCursor(der[extensions])
        var seen: Set<UInt8> = []
        while let item = cursor.next(Tag.sequence) {
            var fields = DERCursor(der[item.content])
            // All are of id-ce, 2.5.29, so the third octet tells them apart.
            guard let identifier = fields.next(Tag.objectIdentifier), identifier.content.count == 3,
                der[identifier.content].starts(with: [0x55, 0x1D]), let kind = der[identifier.content].last,
                seen.insert(kind).inserted, var field = fields.next()
            else { return "extensions" }
            let isCritical = field.tag == Tag.boolean
            if isCritical {
                guard holds(field.content, [0xFF]), let next = fields.next() else { return "critical" }
                field = next
            }
            guard field.tag == Tag.octetString, fields.isAtEnd else { return "extnValue" }
            switch kind {
            case 19: guard isCritical, holds(field.content, [0x30, 0x00]) else { return "basicConstraints" }
            case 15:
                guard isCritical, holds(field.content, [0x03, 0x02, 0x07, 0x80]) else { return "keyUsage" }
            case 37: guard !field.content.isEmpty else { return "extKeyUsage" }
            case 14:
                guard let value = DERCursor.only(Tag.octetString, in: der[field.content]),
                    holds(value, template.key.identifier)
                else { return "subjectKeyIdentifier" }
            case 35: guard !field.content.isEmpty else { return "authorityKeyIdentifier" }
            case 17: guard areNames(field.content, of: template) else { return "subjectAltName" }
            default: return "extensions"
            }
        }
        return cursor.isAtEnd && seen.count == 6 ? nil : "extensions"
    }

    /// One URI, the SPIFFE ID, and the DNS names in their order.
    private func areNames(_ content: Range<Int>, of template: LeafTemplate) -> Bool {
        guard let names = DERCursor.only(DERWriter.Tag.sequence, in: der[content]) else { return false }
        var cursor = DERCursor(der[names])
        guard let uri = cursor.next(0x86), der[uri.content].elementsEqual("\(template.id)".utf8) else { return false }
        for expected in template.dnsNames {
            guard let name = cursor.next(0x82), der[name.content].elementsEqual(expected.utf8) else { return false }
        }
        return cursor.isAtEnd
    }

    private func isValidity(_ content: Range<Int>, _ validity: Range<Date>) -> Bool {
        var cursor = DERCursor(der[content])
        guard let start = cursor.next(), let end = cursor.next(), cursor.isAtEnd else { return false }
        return seconds(of: start) == validity.lowerBound.timeIntervalSince1970
            && seconds(of: end) == validity.upperBound.timeIntervalSince1970
    }

    /// Since 1970; nil when it is no UTCTime or GeneralizedTime in the one form that certificates have.
    private func seconds(of element: DERCursor.Element) -> TimeInterval? {
        let text = der[element.content]
        let isShort = element.tag == DERWriter.Tag.utcTime
        guard isShort || element.tag == DERWriter.Tag.generalizedTime, text.count == (isShort ? 13 : 15),
            text.last == UInt8(ascii: "Z")
        else { return nil }
        var numbers: [Int] = []
        numbers.reserveCapacity(7)
        var position = text.startIndex
        while position < text.endIndex - 1 {
            let (tens, ones) = (Int(text[position]) - 0x30, Int(text[position + 1]) - 0x30)
            guard (0...9).contains(tens), (0...9).contains(ones) else { return nil }
            numbers.append(tens * 10 + ones)
            position += 2
        }
        let year = isShort ? (numbers[0] < 50 ? 2000 : 1900) + numbers[0] : numbers.removeFirst() * 100 + numbers[0]
        guard (1...12).contains(numbers[1]) else { return nil }
        // Days before a year, as leap years are counted, and before a month of it.
        let (before, isLeap) = (year - 1, year % 4 == 0 && (year % 100 != 0 || year % 400 == 0))
        var days = before * 365 + before / 4 - before / 100 + before / 400 - 719_162
        days += [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334][numbers[1] - 1]
        days += (isLeap && numbers[1] > 2 ? 1 : 0) + numbers[2] - 1
        return TimeInterval(((days * 24 + numbers[3]) * 60 + numbers[4]) * 60 + numbers[5])
    }

    private func holds(_ range: Range<Int>, _ expected: some Collection<UInt8>) -> Bool {
        der[range].elementsEqual(expected)
    }
}
