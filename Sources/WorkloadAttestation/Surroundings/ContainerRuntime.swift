internal import Foundation
internal import LinuxKernel
package import Platform
internal import SPIFFE
internal import Synchronization

/// Asks Docker or Podman, over their socket and within a short deadline, what a container is.
///
/// The API is Docker's, which Podman offers as well: `GET /containers/ID/json` and `GET /images/ID/json`. An answer is
/// used again for some seconds; a runtime that does not answer is asked again after as long.
package final class ContainerRuntime: Sendable {
    private struct Answer {
        let details: Fact<ContainerFacts.Details>
        let expiry: Date
    }

    private let sockets: [ContainerFacts.Runtime: String]
    private let timeout: Duration
    private let clock: any WallClock
    private let answers = Mutex<[String: Answer]>([:])

    /// Creates a client.
    ///
    /// - Parameters:
    ///   - docker: Docker's socket.
    ///   - podman: Podman's socket.
    ///   - timeout: For each question.
    ///   - clock: Tells how old an answer is.
    package init(
        docker: String = "/run/docker.sock", podman: String = "/run/podman/podman.sock",
        timeout: Duration = .milliseconds(250), clock: any WallClock = SystemWallClock()
    ) {
        sockets = [.docker: docker, .podman: podman]
        (self.timeout, self.clock) = (timeout, clock)
    }

    /// What a runtime says of a container.
    package func details(of id: String, runtime: ContainerFacts.Runtime) -> Fact<ContainerFacts.Details> {
        guard let socket = sockets[runtime] else {
            return .unknown(Gap("its container runtime has no API that is known here"))
        }
        let now = clock.now
        if let kept = answers.withLock({ $0[id] }), kept.expiry > now { return kept.details }
        let details: Fact<ContainerFacts.Details>
        do { details = .known(try ask(socket, id), .runtime) } catch { details = .unknown(error) }
        answers.withLock { answers in
            if answers.count >= 1024 { answers = answers.filter { $0.value.expiry > now } }
            // Still full: containers come faster than answers age.
            if answers.count < 1024 { answers[id] = Answer(details: details, expiry: now + 10) }
        }
        return details
    }

    private func ask(_ socket: String, _ id: String) throws(Gap) -> ContainerFacts.Details {
        let container = try get("/containers/\(id)/json", socket)
        // Both runtimes also answer to names and shortened IDs.
        guard let found = container["Id"]?.string, found.utf8.elementsEqual(id.utf8) else {
            throw Gap("the container runtime speaks of another container")
        }
        let config = container["Config"]?.object
        var labels: [String: String] = [:]
        for (name, value) in config?["Labels"]?.object ?? JSONObject() {
            if let value = value.string, labels.count < 256 { labels[name] = value }
        }
        var digests: [String] = []
        if let image = container["Image"]?.string, Self.isImageID(image) {
            digests = Self.digests(try get("/images/\(image)/json", socket))
        }
        let name = container["Name"]?.string.map { $0.hasPrefix("/") ? String($0.dropFirst()) : $0 }
        return ContainerFacts.Details(
            name: name, image: config?["Image"]?.string, imageDigests: digests, labels: labels)
    }

    /// From `RepoDigests`, such as `example.org/agent@sha256:…`.
    private static func digests(_ image: JSONObject) -> [String] {
        var digests: Set<String> = []
        for entry in image["RepoDigests"]?.array ?? [] {
            guard let text = entry.string, let mark = text.range(of: "@sha256:") else { continue }
            let digest = String(text[mark.upperBound...])
            if isHex(digest) { digests.insert(digest) }
        }
        return digests.sorted()
    }

    /// Whether it can stand in a request's path.
    private static func isImageID(_ text: String) -> Bool {
        let digest = text.hasPrefix("sha256:") ? String(text.dropFirst(7)) : text
        return isHex(digest)
    }

    private static func isHex(_ text: String) -> Bool {
        text.utf8.count == 64 && text.utf8.allSatisfy { (48...57).contains($0) || (97...102).contains($0) }
    }

    /// HTTP/1.0, so that the answer is not chunked and ends with the connection.
    private func get(_ path: String, _ socket: String) throws(Gap) -> JSONObject {
        let request = "GET \(path) HTTP/1.0\r\nHost: localhost\r\nAccept: application/json\r\n\r\n"
        let answer: [UInt8]
        do {
            answer = try UnixExchange.run(Array(request.utf8), path: socket, timeout: timeout, limit: 1 << 20)
        } catch { throw Gap("container runtime: \(error)") }
        guard let end = Self.endOfHead(answer) else { throw Gap("the container runtime's answer has no end of head") }
        let lines = String(decoding: answer[..<end], as: UTF8.self).split(separator: "\r\n")
        let words = (lines.first ?? "").split(separator: " ", maxSplits: 2)
        guard words.count >= 2, words[0].hasPrefix("HTTP/1."), words[1].utf8.elementsEqual("200".utf8) else {
            throw Gap("the container runtime answered \(words.count >= 2 ? String(words[1].prefix(3)) : "nonsense")")
        }
        guard !lines.contains(where: { $0.lowercased().hasPrefix("transfer-encoding:") }) else {
            throw Gap("the container runtime's answer is chunked")
        }
        guard let object = (try? JSONValue(parsing: answer[(end + 4)...]))?.object else {
            throw Gap("the container runtime's answer is not a JSON object")
        }
        return object
    }

    private static func endOfHead(_ bytes: [UInt8]) -> Int? {
        guard bytes.count >= 4 else { return nil }
        return (0...(bytes.count - 4)).first { bytes[$0..<($0 + 4)].elementsEqual("\r\n\r\n".utf8) }
    }
}
