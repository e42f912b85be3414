/// Why bytes are not the TPM structure that they should be.
package struct TPMFormatError: Error, Hashable, CustomStringConvertible {
    package let description: String

    package init(_ description: String) { self.description = description }
}
