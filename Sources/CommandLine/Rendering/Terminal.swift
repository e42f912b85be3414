internal import Foundation

/// The one place that writes: data to standard output, prose to standard error.
enum Terminal {
    /// Writes data and a newline.
    static func say(_ text: String) { FileHandle.standardOutput.write(Data((text + "\n").utf8)) }

    /// Writes prose and a newline.
    static func complain(_ text: String) { FileHandle.standardError.write(Data((text + "\n").utf8)) }
}
