package import Platform

/// Finds a machine's TPM.
package enum TPMDeviceSearch {
    /// The one TPM behind the kernel's resource manager, or else the one without.
    ///
    /// - Throws: ``NodeAttestationError/unavailable(_:)`` when there is none, or more than one.
    package static func path(_ files: any FileSystem) throws(NodeAttestationError) -> String {
        let names: [String]
        do throws(FileSystemError) { names = try files.names(in: "/dev") } catch { throw .unavailable("\(error)") }
        for prefix in ["tpmrm", "tpm"] {
            let found = names.filter { $0.hasPrefix(prefix) && isNumber($0.dropFirst(prefix.count)) }
            guard found.count < 2 else { throw .unavailable("there is more than one TPM; say which one to use") }
            if let only = found.first { return "/dev/\(only)" }
        }
        throw .unavailable("there is no TPM at /dev/tpmrm0 or /dev/tpm0")
    }

    private static func isNumber(_ text: Substring) -> Bool {
        !text.isEmpty && text.utf8.allSatisfy((UInt8(ascii: "0")...UInt8(ascii: "9")).contains)
    }
}
