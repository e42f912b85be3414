/// Programs that run whatever they are told to: to know one of them is to know nothing of the code behind a process.
package enum BareInterpreter {
    private static let names: Set<String> = [
        "ash", "awk", "bash", "bun", "busybox", "csh", "dash", "deno", "dotnet", "elixir", "erl", "expect", "fish",
        "gawk", "gjs", "guile", "ipython", "java", "jruby", "jshell", "julia", "ksh", "lua", "luajit", "mawk", "mksh",
        "node", "nodejs", "octave", "perl", "php", "php-cgi", "pwsh", "pypy", "python", "qjs", "r", "rbash", "rscript",
        "ruby", "sbcl", "sh", "tclsh", "tcsh", "toybox", "ts-node", "tsx", "wish", "zsh",
    ]

    /// What distributions write after a version.
    private static let buildTags: Set<String> = ["", "d", "m", "t", "-dbg"]

    /// Whether a file name is that of an interpreter, with or without a version, such as `python3.13`.
    ///
    /// - Parameter name: The last component of a path.
    /// - Returns: True for `python3.13` and `sh`, false for `python3-config` and `sshd`.
    package static func isNamed(_ name: some StringProtocol) -> Bool {
        let name = name.lowercased()
        if names.contains(name) { return true }
        let stem = name.prefix { $0.isLetter }
        let version = name.dropFirst(stem.count)
        guard names.contains(String(stem)), version.first?.isNumber == true else { return false }
        return buildTags.contains(String(version.drop { $0.isNumber || $0 == "." }))
    }

    /// The selector by which an entry goes by an interpreter's path, unless another one says what it runs.
    ///
    /// - Returns: nil when no path is an interpreter's, or the script is measured as well.
    package static func path(in selectors: some Sequence<Selector>) -> Selector? {
        guard !selectors.contains(where: measuresScript) else { return nil }
        return selectors.sorted().first { selector in
            pathPrefixes.contains { prefix in
                guard let path = value(of: selector, after: prefix) else { return false }
                return isNamed(path.split(separator: "/").last ?? "")
            }
        }
    }

    /// Whether a selector says which script an interpreter runs.
    ///
    /// A chain does not: an interpreter that was executed without a script has one, too.
    package static func measuresScript(_ selector: Selector) -> Bool {
        SelectorVocabulary.family(of: selector)?.prefix == "exec:script:sha256"
    }

    /// What a selector says after `kind:key:`.
    ///
    /// - Returns: nil when it does not begin so.
    package static func value(of selector: Selector, after prefix: String) -> String? {
        let text = "\(selector)"
        guard text.utf8.starts(with: "\(prefix):".utf8) else { return nil }
        return String(decoding: text.utf8.dropFirst(prefix.utf8.count + 1), as: UTF8.self)
    }

    /// Families that name the executable's path.
    package static let pathPrefixes = ["unix:path", "exec:path"]
    /// Families that name the executable's digest.
    package static let digestPrefixes = ["unix:sha256", "exec:sha256"]
}
