internal import Glibc

/// What is mounted, as `/proc/self/mountinfo` says.
package enum MountTable {
    /// The kernel's text; empty when it cannot be read.
    package static func bytes() -> [UInt8] {
        let file = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return [] }
        defer { close(file) }
        var contents: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        while contents.count < 16 << 20 {
            let count = read(file, &buffer, buffer.count)
            guard count > 0 else { return contents }
            contents += buffer[..<count]
        }
        return contents
    }

    /// One mount point of each local file system that can hold programs, in the order of the text.
    ///
    /// - Parameter text: The kernel's; lines that are not as proc(5) describes are left out.
    /// - Returns: Paths.
    package static func localMountPoints(_ text: [UInt8]) -> [String] {
        var devices: Set<String> = []
        var points: [String] = []
        for line in text.split(separator: UInt8(ascii: "\n")) {
            let words = line.split(separator: UInt8(ascii: " "))
            guard words.count > 6, let dash = words.firstIndex(of: [UInt8(ascii: "-")]), dash + 1 < words.count,
                local.contains(String(decoding: words[dash + 1], as: UTF8.self)),
                let point = unescaped(words[4]), devices.insert(String(decoding: words[2], as: UTF8.self)).inserted
            else { continue }
            points.append(point)
        }
        return points
    }

    private static let local: Set<String> = [
        "ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "erofs", "squashfs", "tmpfs", "overlay",
    ]

    /// Blanks, tabs, line feeds and backslashes are written as three octal digits.
    private static func unescaped(_ word: ArraySlice<UInt8>) -> String? {
        var bytes: [UInt8] = []
        var rest = word
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "\\") else {
                bytes.append(byte)
                continue
            }
            guard rest.count >= 3, let code = UInt8(String(decoding: rest.prefix(3), as: UTF8.self), radix: 8) else {
                return nil
            }
            bytes.append(code)
            rest = rest.dropFirst(3)
        }
        return String(validating: bytes, as: UTF8.self)
    }
}
