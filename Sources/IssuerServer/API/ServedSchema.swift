internal import Foundation
internal import IssuerAPIProtos
internal import SwiftProtobuf

/// Everything that a server's API is made of, as it describes itself to tools.
package struct ServedSchema: Sendable {
    /// One .proto file.
    struct File: Hashable, Sendable {
        let name: String
        let imports: [String]
        /// A serialized FileDescriptorProto.
        let bytes: Data
    }

    /// Full names, in order.
    package let services: [String]
    /// Every method as `service/method`, in order.
    package let methods: [String]
    private let files: [String: File]
    private let declarations: [String: String]

    /// Reads the descriptors that the code was generated with.
    ///
    /// - Throws: The decoder's error; a bug of the build.
    package init() throws {
        let set = try Google_Protobuf_FileDescriptorSet(
            serializedBytes: Data(base64Encoded: DescriptorSet.base64) ?? Data())
        var files: [String: File] = [:]
        var declarations: [String: String] = [:]
        var (services, methods): ([String], [String]) = ([], [])
        for file in set.file {
            files[file.name] = File(name: file.name, imports: file.dependency, bytes: try file.serializedBytes())
            let scope = file.package.isEmpty ? "" : file.package + "."
            for service in file.service {
                services.append(scope + service.name)
                declarations[scope + service.name] = file.name
                for method in service.method {
                    methods.append("\(scope)\(service.name)/\(method.name)")
                    declarations["\(scope)\(service.name).\(method.name)"] = file.name
                }
            }
            for type in file.enumType { declarations[scope + type.name] = file.name }
            for message in file.messageType { Self.declare(message, in: scope, of: file.name, &declarations) }
        }
        (self.files, self.declarations) = (files, declarations)
        (self.services, self.methods) = (services.sorted(), methods.sorted())
    }

    /// The file of a name; nil when there is none.
    func file(named name: String) -> File? { files[name] }

    /// The file that declares a service, method, message or enumeration.
    func file(declaring symbol: String) -> File? {
        declarations[symbol.hasPrefix(".") ? String(symbol.dropFirst()) : symbol].flatMap { files[$0] }
    }

    /// A file and all that it needs, itself first.
    func withImports(_ file: File) -> [Data] {
        var found = [file]
        var seen: Set = [file.name]
        var next = 0
        while next < found.count {
            for name in found[next].imports {
                if let file = files[name], seen.insert(name).inserted { found.append(file) }
            }
            next += 1
        }
        return found.map(\.bytes)
    }

    private static func declare(
        _ message: Google_Protobuf_DescriptorProto, in scope: String, of file: String,
        _ declarations: inout [String: String]
    ) {
        let name = scope + message.name
        declarations[name] = file
        for type in message.enumType { declarations["\(name).\(type.name)"] = file }
        for field in message.field { declarations["\(name).\(field.name)"] = file }
        for inner in message.nestedType { declare(inner, in: name + ".", of: file, &declarations) }
    }
}
