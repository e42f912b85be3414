internal import Foundation
internal import Synchronization

/// The one place that writes: data to standard output, prose to standard error.
enum Terminal {
    private static let lost = Atomic(false)

    /// Whether data could not be written, so that the command must not say that all went well.
    static var hasLostData: Bool { lost.load(ordering: .relaxed) }

    /// Writes data and a newline.
    static func say(_ text: String) {
        do { try FileHandle.standardOutput.write(contentsOf: Data((text + "\n").utf8)) } catch {
            lost.store(true, ordering: .relaxed)
        }
    }

    /// Writes prose and a newline.
    ///
    /// Where prose cannot go, nothing better can be done.
    static func complain(_ text: String) {
        try? FileHandle.standardError.write(contentsOf: Data((text + "\n").utf8))
    }
}
