internal import ArgumentParser
internal import Bootstrap
internal import Foundation
internal import IssuerAPIProtos
internal import Platform
internal import SPIFFE

/// How surely the code behind a process must be known; the same flags create and update.
struct EntryTermsOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "The least assurance level, 0 to 3; when left out, it follows from the selectors.", valueName: "n"))
    var minAssurance: Int?

    @Flag(
        inversion: .prefixedNo,
        help: "Admit anonymous executable memory, as Node, Java and PyPy have it; asks for level 3 unless told.")
    var allowJit: Bool?

    @Flag(help: "Store what is refused for its own good: a bare interpreter, a kind of selector nobody knows.")
    var force = false

    func validate() throws {
        guard let minAssurance, AssuranceLevel(rawValue: minAssurance) == nil else { return }
        throw ValidationError("'--min-assurance' must be 0, 1, 2 or 3")
    }

    /// The level as messages carry it.
    var level: UInt32? { minAssurance.flatMap { UInt32(exactly: $0) } }

    /// Refuses selectors that are an interpreter's, as far as this machine can tell, unless forced.
    ///
    /// - Throws: ``Failure``, with the next step.
    func refuseInterpreter(_ selectors: [Selector]) throws(Failure) {
        if !force { try Self.refuseInterpreter(selectors) }
    }

    /// Refuses selectors that are an interpreter's, as far as this machine can tell.
    ///
    /// - Throws: ``Failure``, with the next step.
    static func refuseInterpreter(_ selectors: [Selector]) throws(Failure) {
        let folders = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").map { String($0) }
        let search = InterpreterSearch(
            folders: folders + InterpreterSearch.usualFolders, files: LocalFileSystem()
        ) { URL(fileURLWithPath: $0).resolvingSymlinksInPath().path }
        guard let finding = search.interpreter(in: selectors) else { return }
        throw Failure(
            .refused,
            "'\(finding.selector)' is the interpreter \(finding.path): whatever script it runs would have this identity",
            hint: """
                register the script, with --selector exec:script:sha256:HEX, and start it by its #! line; or store the \
                entry as it is with --force
                """)
    }
}

/// What `mintmark entry create --help` says about selectors and levels, from the table that checks them.
enum SelectorHelp {
    static let text: String = {
        let families = SelectorFamily.known
        let width = families.map(\.spelling.count).max() ?? 0
        let lines = families.map { family in
            let padding = String(repeating: " ", count: width - family.spelling.count)
            return "  \(family.spelling)\(padding)  \(family.minimum.number)  \(family.meaning)"
        }
        return """
            SELECTORS, each with the least assurance level at which it is found
            \(lines.joined(separator: "\n"))
            Kinds that agents of another make produce, such as k8s, are stored unread.

            ASSURANCE LEVELS
              0  the user and groups alone
              1  the file behind the executable link, which the process can fake
              2  one process and image, bound to the connection, not traced
              3  the executable as it was at exec, and all code mapped since
            An entry that names users and groups alone asks for 0; one that names a
            program for 2, or the server's default_min_assurance, for more where a
            selector needs it, and for 3 with --allow-jit.
            """
    }()
}
