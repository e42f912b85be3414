import Platform
import Testing

@Suite("Secrets")
struct SecretTests {
    private static let text = "s3cr3t-t0ken"

    /// A type that holds secrets, as ours do, without a description of its own.
    private struct Holder {
        let bytes = SecretBytes(SecretTests.text.utf8)
        let text = SecretText(SecretTests.text)
        let list = [SecretText(SecretTests.text)]
        let table = ["key": SecretBytes(SecretTests.text.utf8)]
        let maybe: SecretText? = SecretText(SecretTests.text)
    }

    private static func renderings(of value: Any) -> [String] {
        var dumped = ""
        dump(value, to: &dumped)
        return ["\(value)", String(describing: value), String(reflecting: value), dumped]
    }

    @Test("say <redacted>, however they are printed")
    func redacted() {
        let secrets: [Any] = [SecretBytes(Self.text.utf8), SecretText(Self.text)]
        for secret in secrets {
            let renderings = Self.renderings(of: secret)
            #expect(renderings.dropLast() == ["<redacted>", "<redacted>", "<redacted>"])
            #expect(renderings.last == "- <redacted>\n")
        }
        #expect("\(SecretText(Self.text))" == "<redacted>")
        #expect("\(SecretBytes([1, 2, 3]))" == "<redacted>")
        #expect(SecretText(Self.text).debugDescription == "<redacted>")
        #expect(SecretBytes([1]).debugDescription == "<redacted>")
    }

    @Test("show nothing to reflection")
    func mirrors() {
        #expect(Mirror(reflecting: SecretBytes([1, 2])).children.isEmpty)
        #expect(Mirror(reflecting: SecretText(Self.text)).children.isEmpty)
    }

    @Test("stay hidden inside whatever holds them")
    func nested() {
        let bytes = "\(Array(Self.text.utf8))".dropFirst().dropLast()
        for rendering in Self.renderings(of: Holder()) + Self.renderings(of: [Holder()]) {
            #expect(rendering.contains("<redacted>"))
            #expect(!rendering.contains(Self.text))
            #expect(!rendering.contains(bytes))
            #expect(!rendering.contains("115"))
        }
    }

    @Test("give themselves up to who names the use, and compare by content")
    func exposed() {
        #expect(SecretText(Self.text).exposed == Self.text)
        #expect(SecretBytes([1, 2]).exposed == [1, 2])
        #expect(SecretText("a") == SecretText("a"))
        #expect(SecretText("a") != SecretText("b"))
        #expect(Set([SecretBytes([1]), SecretBytes([1]), SecretBytes([2])]).count == 2)
    }
}
