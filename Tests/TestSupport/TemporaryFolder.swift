internal import Foundation
internal import Glibc

/// A folder on the real disk, for tests of what only a real disk does.
///
/// Its path is short enough for a Unix socket.
package enum TemporaryFolder {
    /// Why there is no folder.
    package struct CannotMake: Error {
        package let code: Int32
    }

    /// Runs a body with a new folder and removes the folder afterwards, with all that is in it.
    package static func use<Value>(_ body: (String) throws -> Value) throws -> Value {
        let path = try make()
        defer { try? FileManager.default.removeItem(atPath: path) }
        return try body(path)
    }

    /// Runs a body with a new folder and removes the folder afterwards, with all that is in it.
    package static func use<Value>(
        isolation: isolated (any Actor)? = #isolation, _ body: (String) async throws -> Value
    ) async throws -> Value {
        let path = try make()
        defer { try? FileManager.default.removeItem(atPath: path) }
        return try await body(path)
    }

    private static func make() throws -> String {
        var template = Array("/tmp/mintmark-test.XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw CannotMake(code: errno) }
        return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
