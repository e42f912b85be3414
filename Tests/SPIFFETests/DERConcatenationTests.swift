import SPIFFE
import TestSupport
import Testing
import X509

@Suite("Concatenated DER certificates")
struct DERConcatenationTests {
    private static let ca = Result { try TestCA() }

    private static func chain() throws -> [Certificate] {
        let ca = try ca.get()
        return [try ca.leaf().certificate, try ca.intermediate().certificate, ca.certificate]
    }

    @Test("gives back what was joined, in order", arguments: 0...3)
    func roundTrip(_ count: Int) throws {
        let chain = Array(try Self.chain().prefix(count))
        let bytes = try DERConcatenation.bytes(of: chain)
        #expect(bytes == (try chain.flatMap { try $0.derBytes() }))
        #expect(try DERConcatenation.certificates(in: bytes) == chain)
        #expect(try DERConcatenation.certificates(in: bytes[...]) == chain)
    }

    @Test("refuses a certificate that is cut off", arguments: [1, 2, 3, 4, 5, 100])
    func truncated(_ missing: Int) throws {
        let bytes = try DERConcatenation.bytes(of: Self.chain())
        let cut = #expect(throws: SPIFFEError.self) { try DERConcatenation.certificates(in: bytes.dropLast(missing)) }
        #expect(cut?.code == .invalidX509SVID)
        let head = #expect(throws: SPIFFEError.self) { try DERConcatenation.certificates(in: bytes.prefix(missing)) }
        #expect(head?.code == .invalidX509SVID)
    }

    @Test(
        "refuses anything after or before a certificate",
        arguments: [[0x00], [0x0A], [0x30], [0x30, 0x00], [0x30, 0x80], [0x30, 0x84, 0, 0, 0, 0], [0x05, 0x00]]
            as [[UInt8]])
    func garbage(_ garbage: [UInt8]) throws {
        let bytes = try Self.ca.get().certificate.derBytes()
        for mixture in [bytes + garbage, garbage + bytes, garbage] {
            let error = #expect(throws: SPIFFEError.self) { try DERConcatenation.certificates(in: mixture) }
            #expect(error?.code == .invalidX509SVID)
        }
    }

    @Test("refuses PEM")
    func pem() throws {
        let pem = try Self.ca.get().certificate.pemText()
        let error = #expect(throws: SPIFFEError.self) { try DERConcatenation.certificates(in: Array(pem.utf8)) }
        #expect(error?.code == .invalidX509SVID)
    }

    @Test("reads as many certificates as it says and no more")
    func tooMany() throws {
        let one = try Self.ca.get().certificate.derBytes()
        let most = Array(repeating: one, count: DERConcatenation.maximumCount).flatMap(\.self)
        #expect(try DERConcatenation.certificates(in: most).count == DERConcatenation.maximumCount)
        let error = #expect(throws: SPIFFEError.self) { try DERConcatenation.certificates(in: most + one) }
        #expect(error?.code == .invalidX509SVID)
    }

    @Test("takes exactly one certificate where one is due")
    func exactlyOne() throws {
        let certificate = try Self.ca.get().certificate
        let bytes = try certificate.derBytes()
        #expect(try DERConcatenation.certificate(in: bytes[...]) == certificate)
        let error = #expect(throws: SPIFFEError.self) { try DERConcatenation.certificate(in: (bytes + bytes)[...]) }
        #expect(error?.code == .invalidX509SVID)
    }
}
