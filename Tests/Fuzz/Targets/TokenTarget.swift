internal import Crypto
internal import Foundation
internal import SPIFFE

/// JWT-SVIDs, and base64url.
///
/// An input is a token, or a 1 followed by a header, NUL and claims: those are signed here with the key `k1`, so that
/// the fuzzer gets beyond the signature.
enum TokenTarget {
    /// The authorities of `example.org`.
    static let trusted: TrustBundle = {
        guard let trustDomain = try? TrustDomain("example.org"),
            let bundle = try? TrustBundle(json: Fixtures.bundleDocument.utf8, trustDomain: trustDomain),
            bundle.x509.authorities.count == 2, bundle.jwt.authorities.count == 4
        else { fatalError("the targets' own bundle is refused") }
        return bundle
    }()

    private static let audience = "a"
    private static let instant = Date(timeIntervalSince1970: Fixtures.instant)

    static func judge(_ input: [UInt8], flaw: Flaw?) {
        judgeBase64URL(input)
        let isSigned = input.first == 1
        let text = String(decoding: isSigned ? signed(input.dropFirst()) : input, as: UTF8.self)
        let read = flaw.map { token(in: input, flaw: $0) } ?? text

        let parsed = try? UnverifiedJWTSVID(parsing: read)
        let verdict = verdict(on: read)
        claim(same(verdict, self.verdict(on: read)), "the same token gets the same verdict")
        guard let parsed else {
            guard case .failure = verdict else { broken("what is valid can be parsed") }
            return
        }
        claim(parsed.expiry.isFinite && !parsed.audience.isEmpty, "a token ends, and is meant for somebody")
        if isSigned { judgeCompleteness(of: parsed, verdict: verdict) }
        guard case .success(let svid) = verdict else { return }
        claim(svid.id == parsed.subject && svid.token.utf8.elementsEqual(read.utf8), "the token is as it was read")
        claim(!"\(svid) \(String(reflecting: svid))".contains(read.suffix(16)), "no description holds the token")
        claim((try? JSONValue(parsing: svid.claimsJSON.utf8)) == .object(parsed.claims), "claims read as written")
        for member in parsed.claims { claim(svid.claim(member.name) != nil, "each claim is found by its name") }
        TokenAudit.claimIsSound(text, naming: svid.id, audience: audience, at: instant)
    }

    /// What a reader takes the input for that has the flaw, in the token as much as in the JSON it holds.
    private static func token(in input: [UInt8], flaw: Flaw) -> String {
        let token = input.first == 1 ? signed(flaw.text(Array(input.dropFirst()))[...]) : flaw.text(input)
        return String(decoding: token, as: UTF8.self)
    }

    /// A token signed with `k1` is valid exactly if the rest of what it says is right.
    private static func judgeCompleteness(of parsed: UnverifiedJWTSVID, verdict: Result<JWTSVID, SPIFFEError>) {
        let now = instant.timeIntervalSince1970
        let isRight =
            parsed.keyID == "k1" && parsed.algorithm == .es256 && parsed.subject.trustDomain == trusted.trustDomain
            && now < parsed.expiry + 60 && (parsed.notBefore.map { now > $0 - 60 } ?? true)
            && parsed.audience.contains { $0.utf8.elementsEqual(audience.utf8) }
        let isValid = if case .success = verdict { true } else { false }
        claim(isValid == isRight, "a signed token is accepted if and only if all it says is right")
    }

    private static func judgeBase64URL(_ input: [UInt8]) {
        claim(Base64URL.decode(Base64URL.encode(input).utf8) == input, "base64url decodes to what was encoded")
        guard let bytes = Base64URL.decode(input) else { return }
        claim(Base64URL.encode(bytes).utf8.elementsEqual(input), "base64url that decodes is what would be encoded")
    }

    private static func verdict(on token: String) -> Result<JWTSVID, SPIFFEError> {
        do throws(SPIFFEError) {
            return .success(
                try JWTSVID.verify(token, audience: audience, at: instant) {
                    $0 == trusted.trustDomain ? trusted.jwt : nil
                })
        } catch {
            return .failure(error)
        }
    }

    private static func same(_ one: Result<JWTSVID, SPIFFEError>, _ other: Result<JWTSVID, SPIFFEError>) -> Bool {
        switch (one, other) {
        case (.success(let one), .success(let other)): one.id == other.id && one.expiry == other.expiry
        case (.failure(let one), .failure(let other)): one == other
        default: false
        }
    }

    private static func signed(_ parts: ArraySlice<UInt8>) -> [UInt8] {
        let halves = parts.split(separator: 0, maxSplits: 1, omittingEmptySubsequences: false)
        let input = "\(Base64URL.encode(halves[0])).\(Base64URL.encode(halves.count > 1 ? halves[1] : []))"
        guard let signature = try? SigningKeys.root.signature(for: Data(input.utf8)) else {
            fatalError("P-256 cannot sign")
        }
        return Array("\(input).\(Base64URL.encode(signature.rawRepresentation))".utf8)
    }
}
