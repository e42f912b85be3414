import GRPCWire
import Testing
import WorkloadSocket

@Suite("Header compression")
struct HPACKTests {
    private func bytes(_ hex: String) -> [UInt8] {
        let digits = hex.filter(\.isHexDigit)
        return stride(from: 0, to: digits.count, by: 2).compactMap { offset in
            let start = digits.index(digits.startIndex, offsetBy: offset)
            return UInt8(digits[start..<digits.index(start, offsetBy: 2)], radix: 16)
        }
    }

    private func decode(_ hex: String, _ decoder: inout HPACKDecoder) throws -> [String] {
        var fields: [String] = []
        try decoder.decode(bytes(hex).span) { name, value in fields.append("\(name.text)=\(value.text)") }
        return fields
    }

    @Test(
        "decodes the single fields of RFC 7541 C.2",
        arguments: [
            ("400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572", "custom-key=custom-header", 55),
            ("040c 2f73 616d 706c 652f 7061 7468", ":path=/sample/path", 0),
            ("1008 7061 7373 776f 7264 0673 6563 7265 74", "password=secret", 0),
            ("82", ":method=GET", 0),
        ])
    func single(_ hex: String, _ field: String, _ size: Int) throws {
        var decoder = HPACKDecoder()
        #expect(try decode(hex, &decoder) == [field])
        #expect(decoder.tableSize == size)
    }

    static let requests: [[String]] = [
        [":method=GET", ":scheme=http", ":path=/", ":authority=www.example.com"],
        [":method=GET", ":scheme=http", ":path=/", ":authority=www.example.com", "cache-control=no-cache"],
        [
            ":method=GET", ":scheme=https", ":path=/index.html", ":authority=www.example.com",
            "custom-key=custom-value",
        ],
    ]

    @Test(
        "decodes the requests of RFC 7541 C.3 and C.4, with and without the Huffman code",
        arguments: [
            [
                "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d", "8286 84be 5808 6e6f 2d63 6163 6865",
                "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
            ],
            [
                "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff", "8286 84be 5886 a8eb 1064 9cbf",
                "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
            ],
        ])
    func requests(_ blocks: [String]) throws {
        var decoder = HPACKDecoder()
        for (block, (fields, size)) in zip(blocks, zip(Self.requests, [57, 110, 164])) {
            #expect(try decode(block, &decoder) == fields)
            #expect(decoder.tableSize == size)
        }
    }

    @Test("decodes the responses of RFC 7541 C.6, whose table has room for 256 bytes")
    func responses() throws {
        var decoder = HPACKDecoder()
        // The example presumes a setting; an update of the table's size at the start of a block does the same.
        let first = try decode(
            """
            3fe101
            4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718
            63c7 8f0b 97c8 e9ae 82ae 43d3
            """, &decoder)
        #expect(
            first == [
                ":status=302", "cache-control=private", "date=Mon, 21 Oct 2013 20:13:21 GMT",
                "location=https://www.example.com",
            ])
        #expect(decoder.tableSize == 222)
        #expect(
            try decode("4883 640e ffc1 c0bf", &decoder) == [
                ":status=307", "cache-control=private", "date=Mon, 21 Oct 2013 20:13:21 GMT",
                "location=https://www.example.com",
            ])
        let third = try decode(
            """
            88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7
            b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07
            """, &decoder)
        #expect(third.last == "set-cookie=foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1")
        #expect(third.count == 6)
        #expect(decoder.tableSize == 215)
    }

    @Test(
        "refuses what is malformed",
        arguments: [
            ("80", "index zero"), ("be", "an index beyond the table"), ("ff80808001", "an endless number"),
            ("ff", "a number that ends"), ("4003616263", "a field without a value"),
            ("400a6375", "a string that is longer than the block"), ("8220", "a size update after a field"),
            ("3fe21f", "a size above the limit"), ("0081ff0161", "padding of a whole byte"),
            ("008118 0161", "padding that is not ones"), ("0084ffffffff0161", "the end symbol"), ("40", "nothing"),
        ])
    func malformed(_ hex: String, _ what: Comment) {
        var decoder = HPACKDecoder()
        #expect(throws: HTTP2Fault.self, what) { try decode(hex, &decoder) }
    }

    @Test("decodes every byte from the Huffman code")
    func everyByte() throws {
        // All 256 in order, as another implementation writes them.
        let code = bytes(
            """
            ffc7fffd8fffffe2fffffe3fffffe4fffffe5fffffe6fffffe7fffffe8ffffeafffffff3fffffa7fffffabffffffdfff
            ffebfffffecfffffedfffffeefffffefffffff0ffffff1ffffff2fffffffbfffffcffffffd3fffffd7fffffdbfffffdf
            fffffe3fffffe7fffffebfffffed4fe3f9ffaffcabf1febfafefe7fdfd2cbb00089969b71d79fb9f7fff20ffbff3ff50
            ddbd7f061c58f265cd9f469d5af66dddbf871e5f9cff7ff7fffc3ff9ffe45fff4719242cb34e6e9d68a6a3d7dac426de
            fe3cfaf7fffbfe7ffbffdffffffcfffe6ffff4bfff9ffffa3fffd3ffff53fffd5ffffb3fffeb7fffdaffffb7ffff73ff
            feeffffdeffffebffffbfffffd9ffffdbfffebffffe0ffffeeffffc3ffff8bffff1ffffe4fffee7fffb1ffff97fffd9f
            fffcdffff9fffffbffffdafffeeffff4ffffb7fffee7fffe8ffffd3fffdeffffd5fffeeffffbdffffe1fffdfffff7fff
            ff5ffffecffff07fff87fffe0ffff17fffedffff87ffff77fffeffffeaffff8bfffe3ffff93ffff87fffcbffff37ffff
            1fffff83ffffe1fffebfffe3ffff3fffff2ffffa3ffffd9fffff17ffffc7fffff27ffffdefffffbffffff2fffff8ffff
            fb7fff97fff8fffffe6fffffc1fffff87ffffe7fffffc5ffffe5fffe4ffff2fffffd1fffff4ffffffefffffe3fffffc9
            fffff97fffb3ffffcffffb7fffcdffff4ffff9ffffd1ffffcffffeaffffafffffddffffeffffff4fffff5fffffabffff
            a7ffffd7fffff9bffffecfffffb7fffff3fffffe8fffffd3fffffabfffff5fffffff7ffffecfffffdbfffffbbfffff7f
            fffff0fffffbbf
            """)
        var decoder = HPACKDecoder()
        var values: [[UInt8]] = []
        let length: [UInt8] = [0xFF, UInt8((code.count - 127) & 0x7F) | 0x80, UInt8((code.count - 127) >> 7)]
        try decoder.decode(([0x00, 0x01, 0x61] + length + code).span) { _, value in values.append(value.bytes) }
        #expect(values == [Array(0...255)])
    }

    @Test("a field that is larger than the table empties it")
    func largeField() throws {
        var decoder = HPACKDecoder()
        _ = try decode("400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572", &decoder)
        let value = String(repeating: "x", count: 5000)
        try decoder.decode((([0x40, 1, 0x61] as [UInt8]) + Wire.string(value)).span) { _, _ in }
        #expect(decoder.tableSize == 0)
    }

    @Test("the table never takes more than its limit")
    func bounded() throws {
        var decoder = HPACKDecoder()
        for number in 0..<2000 {
            try decoder.decode((([0x40] as [UInt8]) + Wire.string("n\(number)") + Wire.string("v")).span) { _, _ in }
            #expect(decoder.tableSize <= HPACKDecoder.tableLimit)
        }
    }
}
