internal import Foundation
internal import Platform
internal import SPIFFE

/// A record as bytes, for files that hold it until the store has it.
///
/// A row of fields, each a tag, the length as four bytes and the value, integers little-endian. A tag that is not known
/// is passed over, so that an earlier version can read on.
extension IssuanceRecord {
    private enum Tag: UInt8 {
        case time = 1
        case requestID, callerClass, principal, address, method, outcome, entryID, entryRevision, spiffeID, serial
        case tokenID, audience, expiresAt, limit, reason, asked, repeats, first
        case askedSeconds, grantedSeconds
    }

    /// The record without its number, added to what a buffer holds.
    package func append(to bytes: inout [UInt8]) {
        func head(_ tag: Tag, _ length: Int) {
            bytes.append(tag.rawValue)
            for shift in [0, 8, 16, 24] { bytes.append(UInt8(truncatingIfNeeded: length >> shift)) }
        }
        func put(_ tag: Tag, _ text: String?) {
            guard let text else { return }
            head(tag, text.utf8.count)
            bytes.append(contentsOf: text.utf8)
        }
        func put(_ tag: Tag, _ number: Int64?) {
            guard let number else { return }
            head(tag, 8)
            for shift in 0..<8 { bytes.append(UInt8(truncatingIfNeeded: number >> (8 * shift))) }
        }
        put(.time, call.time.unixMilliseconds)
        put(.requestID, call.requestID)
        put(.callerClass, call.callerClass.rawValue)
        put(.principal, call.principal)
        put(.address, call.address)
        put(.method, call.method)
        put(.outcome, fact.outcome.rawValue)
        put(.entryID, fact.entryID)
        put(.entryRevision, fact.entryRevision)
        put(.spiffeID, fact.spiffeID?.description)
        put(.serial, fact.serial)
        put(.tokenID, fact.tokenID)
        for audience in fact.audience { put(.audience, audience) }
        put(.expiresAt, fact.expiresAt?.unixSeconds)
        put(.limit, fact.limit?.rawValue)
        put(.reason, fact.reason)
        put(.asked, fact.asked)
        put(.askedSeconds, fact.lifetime?.asked)
        put(.grantedSeconds, fact.lifetime?.granted)
        put(.repeats, fact.repetition?.count)
        put(.first, fact.repetition?.first.unixMilliseconds)
    }

    /// Reads a record back.
    ///
    /// - Returns: nil for bytes that are no record.
    package init?(bytes: ArraySlice<UInt8>) {
        var texts: [Tag: String] = [:]
        var numbers: [Tag: Int64] = [:]
        var audience: [String] = []
        var rest = bytes
        while let tag = rest.popFirst() {
            guard rest.count >= 4 else { return nil }
            let length = rest.prefix(4).reversed().reduce(0) { $0 << 8 | Int($1) }
            rest.removeFirst(4)
            guard rest.count >= length else { return nil }
            let value = rest.prefix(length)
            rest.removeFirst(length)
            guard let tag = Tag(rawValue: tag) else { continue }
            switch tag {
            case .time, .entryRevision, .expiresAt, .repeats, .first, .askedSeconds, .grantedSeconds:
                guard length == 8 else { return nil }
                numbers[tag] = value.reversed().reduce(0) { $0 << 8 | Int64($1) }
            case .audience:
                guard let text = String(validating: value, as: UTF8.self) else { return nil }
                audience.append(text)
            default:
                guard let text = String(validating: value, as: UTF8.self) else { return nil }
                texts[tag] = text
            }
        }
        guard let time = numbers[.time], let callerClass = texts[.callerClass].flatMap(CallerClass.init(rawValue:)),
            let outcome = texts[.outcome].flatMap(Outcome.init(rawValue:))
        else { return nil }
        var fact: IssuanceFact
        switch outcome {
        case .issued: fact = .issued()
        case .denied: fact = .denied("")
        }
        (fact.entryID, fact.entryRevision) = (texts[.entryID], numbers[.entryRevision])
        if let text = texts[.spiffeID] {
            do throws(SPIFFEError) { fact.spiffeID = try SPIFFEID(text) } catch { return nil }
        }
        (fact.serial, fact.tokenID, fact.audience) = (texts[.serial], texts[.tokenID], audience)
        fact.expiresAt = numbers[.expiresAt].map { Date(timeIntervalSince1970: TimeInterval($0)) }
        if let text = texts[.limit] {
            guard let limit = LifetimeLimit(rawValue: text) else { return nil }
            fact.limit = limit
        }
        (fact.reason, fact.asked) = (texts[.reason], texts[.asked])
        if let count = numbers[.repeats], let first = numbers[.first] {
            fact.repetition = .init(count: count, first: Date(unixMilliseconds: first))
        }
        if let asked = numbers[.askedSeconds], let granted = numbers[.grantedSeconds] {
            fact.lifetime = GrantedLifetime(asked: asked, granted: granted)
        }
        self.init(
            call: Call(
                time: Date(unixMilliseconds: time), requestID: texts[.requestID] ?? "", callerClass: callerClass,
                principal: texts[.principal] ?? "", address: texts[.address] ?? "", method: texts[.method] ?? ""),
            fact: fact)
    }
}
