import Crypto
import Platform
import SPIFFE
import TestSupport
import Testing

import CommandLine

@Suite("The search for interpreters")
struct InterpreterSearchTests {
    private static let python = Array("a python".utf8)
    private static let agent = Array("an agent".utf8)

    private static func digest(_ bytes: [UInt8]) -> String { Hex.encode(Array(SHA256.hash(data: bytes))) }

    private func find(_ texts: String..., folders: [String] = ["/usr/bin"]) throws -> InterpreterSearch.Finding? {
        let files = MemoryFileSystem(folders: ["/usr/bin", "/opt/bin"])
        files.place("/usr/bin/python3.13", Self.python)
        files.place("/usr/bin/agent", Self.agent)
        let links = ["/usr/bin/python3": "/usr/bin/python3.13", "/opt/agent/run": "/opt/node-22/bin/node"]
        let search = InterpreterSearch(folders: folders, files: files) { links[$0] ?? $0 }
        return search.interpreter(in: try texts.map { try Selector(parsing: $0) })
    }

    @Test("finds one by the name of its file, and behind a link")
    func names() throws {
        #expect(try find("unix:uid:1", "unix:path:/usr/bin/python3")?.path == "/usr/bin/python3")
        #expect(try find("exec:path:/opt/agent/run")?.path == "/opt/node-22/bin/node")
        #expect(try find("unix:path:/usr/bin/agent") == nil)
        #expect(try find("unix:user:python3") == nil)
    }

    @Test("finds one by its digest, where it is installed", arguments: ["unix:sha256", "exec:sha256"])
    func digests(prefix: String) throws {
        let selector = "\(prefix):\(Self.digest(Self.python))"
        let finding = try find("unix:uid:1", selector)
        #expect(finding?.path == "/usr/bin/python3.13")
        #expect(finding?.selector.description == selector)
        #expect(try find("\(prefix):\(Self.digest(Self.agent))") == nil, "no interpreter by its name")
        #expect(try find(selector, folders: ["/opt/bin", "/missing", "relative", ""]) == nil)
    }

    @Test("lets an entry pass that says which script is run")
    func scripts() throws {
        let script = "exec:script:sha256:\(Self.digest(Self.agent))"
        #expect(try find("unix:path:/usr/bin/python3.13", script) == nil)
        #expect(try find("exec:sha256:\(Self.digest(Self.python))", script) == nil)
        #expect(
            try find("unix:path:/usr/bin/python3.13", "exec:chain:\(Self.digest(Self.agent))")?.path
                == "/usr/bin/python3.13", "one that runs no script has a chain as well")
    }
}
