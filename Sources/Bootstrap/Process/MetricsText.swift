/// Metrics in the text format that Prometheus reads (version 0.0.4).
package struct MetricsText {
    package enum Kind: String {
        case counter
        case gauge
    }

    package private(set) var text = ""

    package init() {}

    /// Adds one metric with all of its samples.
    ///
    /// - Parameters:
    ///   - name: Its name.
    ///   - kind: Counters only grow.
    ///   - help: What it says; one line.
    ///   - samples: Labels in order and a value; sorted as they come out.
    package mutating func add(
        _ name: String, _ kind: Kind, _ help: String, _ samples: [(labels: [(String, String)], value: String)]
    ) {
        text += "# HELP \(name) \(help)\n# TYPE \(name) \(kind.rawValue)\n"
        let lines = samples.map { sample in
            let labels = sample.labels.map { "\($0)=\"\(Self.escaped($1))\"" }.joined(separator: ",")
            return "\(name)\(labels.isEmpty ? "" : "{\(labels)}") \(sample.value)\n"
        }
        text += lines.sorted().joined()
    }

    /// Adds one metric without labels.
    package mutating func add(_ name: String, _ kind: Kind, _ help: String, _ value: some CustomStringConvertible) {
        add(name, kind, help, [([], "\(value)")])
    }

    private static func escaped(_ value: String) -> String {
        var escaped = ""
        for character in value {
            switch character {
            case "\\": escaped += "\\\\"
            case "\"": escaped += "\\\""
            case "\n": escaped += "\\n"
            default: escaped.append(character)
            }
        }
        return escaped
    }
}
