package import IssuerDomain

/// What a signing key may be called: a name that is as good in a path as in a label.
package enum KeyName {
    package static let maximumLength = 128

    /// Passes lower-case letters, digits and dashes.
    ///
    /// - Throws: `missing`, because no key can have another name.
    package static func check(_ name: String) throws(KeyStoreError) {
        let allowed = name.utf8.allSatisfy { byte in
            (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
                || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || byte == UInt8(ascii: "-")
        }
        guard allowed, (1...maximumLength).contains(name.utf8.count) else { throw .missing(name: name) }
    }
}
