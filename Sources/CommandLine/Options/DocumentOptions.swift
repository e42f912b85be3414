internal import ArgumentParser
internal import Bootstrap
internal import Foundation
internal import IssuerAPIProtos
internal import Platform
internal import SwiftProtobuf

/// Which files.
struct DocumentOptions: ParsableArguments {
    @Option(
        name: .shortAndLong,
        help: ArgumentHelp(
            "A file, a folder of .yaml, .yml and .json files, or - for standard input.", valueName: "path"))
    var file: [String]

    private static let sizeLimit = 3 << 20
    private static let fileLimit = 1024

    /// Reads all of them.
    ///
    /// - Throws: ``Failure``, naming the file.
    func read() throws -> [Mintmark_V1_Document] { try Self.read(file) }

    static func read(_ paths: [String]) throws -> [Mintmark_V1_Document] {
        var documents: [Mintmark_V1_Document] = []
        for path in paths {
            if path == "-" {
                documents.append(try document("-", Array(FileHandle.standardInput.readDataToEndOfFile())))
                continue
            }
            for file in try EntryFiles.list(path, files: LocalFileSystem()) {
                let contents: [UInt8]?
                do { contents = try LocalFileSystem().read(file, limit: sizeLimit) } catch {
                    throw Failure(.refused, "\(error)", hint: "name files that can be read and are below 3 MiB")
                }
                guard let contents else {
                    throw Failure(.refused, "there is no file \(file)", hint: "name a file or folder that is there")
                }
                documents.append(try document(file, contents))
            }
        }
        guard documents.count <= fileLimit else {
            throw Failure(
                .refused, "more than \(fileLimit) files",
                hint: "apply them in parts, each with a --managed-by of its own")
        }
        return documents
    }

    private static func document(_ name: String, _ contents: [UInt8]) throws(Failure) -> Mintmark_V1_Document {
        guard let text = String(validating: contents, as: UTF8.self) else {
            throw Failure(.refused, "\(name) is not UTF-8 text", hint: "name YAML or JSON files")
        }
        return .with {
            $0.name = name
            $0.text = text
        }
    }
}
