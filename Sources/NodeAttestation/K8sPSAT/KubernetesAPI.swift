internal import OutboundHTTP
internal import Platform
internal import SPIFFE
internal import SwiftASN1
internal import X509

/// The three questions that a cluster is asked.
///
/// Whatever is not the answer expected is a failure, redirects among it. What is thrown is shown to nodes, so it says
/// neither where the cluster is nor what it said.
struct KubernetesAPI {
    /// The most bytes read: a node with all that ran on it takes some hundred thousand.
    private static let maximumAnswer = 1 << 20
    private static let maximumFile = 1 << 20

    let access: KubernetesAccess
    let fetcher: any HTTPFetcher
    let files: any FileSystem

    /// Lets the cluster judge a token.
    func review(token: String, audiences: [String]) async throws(NodeAttestationError) -> KubernetesTokenReview {
        var question: [(String, JSONValue)] = [("token", .string(token))]
        if !audiences.isEmpty { question.append(("audiences", .array(audiences.map { .string($0) }))) }
        let body = JSONValue.members([
            "apiVersion": .string("authentication.k8s.io/v1"), "kind": .string("TokenReview"),
            "spec": .object(JSONObject(question)),
        ])
        let (status, answer) = try await ask("/apis/authentication.k8s.io/v1/tokenreviews", body: body)
        guard status == 200 || status == 201 else { throw Self.unexpected(status) }
        guard let review = answer.flatMap({ KubernetesTokenReview($0) }) else {
            throw .unavailable("the cluster did not review the token")
        }
        return review
    }

    /// Looks a pod up.
    ///
    /// - Returns: nil when there is none of that name.
    func pod(_ name: KubernetesName, in namespace: KubernetesName) async throws(NodeAttestationError)
        -> KubernetesObject?
    {
        try await object("Pod", "/api/v1/namespaces/\(namespace)/pods/\(name)", name)
    }

    /// Looks a node up.
    ///
    /// - Returns: nil when there is none of that name.
    func node(_ name: KubernetesName) async throws(NodeAttestationError) -> KubernetesObject? {
        try await object("Node", "/api/v1/nodes/\(name)", name)
    }

    private func object(
        _ kind: String, _ path: String, _ name: KubernetesName
    ) async throws(NodeAttestationError) -> KubernetesObject? {
        let (status, answer) = try await ask(path, body: nil)
        if status == 404 { return nil }
        guard status == 200 else { throw Self.unexpected(status) }
        guard let object = answer.flatMap({ KubernetesObject($0, kind: kind) }), object.name == name else {
            throw .unavailable("the cluster's answer cannot be read")
        }
        return object
    }

    private func ask(
        _ path: String, body: JSONValue?
    ) async throws(NodeAttestationError) -> (status: Int, answer: JSONObject?) {
        var headers = [
            (name: "Accept", value: "application/json"), (name: "Authorization", value: "Bearer \(try token())"),
        ]
        if body != nil { headers.append((name: "Content-Type", value: "application/json")) }
        let request = HTTPFetch(
            url: access.server + path, method: body == nil ? "GET" : "POST", headers: headers,
            body: body.map { Array($0.compactText.utf8) } ?? [], trust: .authorities(try authorities()),
            maximumBody: Self.maximumAnswer)
        let fetched: HTTPFetched
        do throws(HTTPFetchError) { fetched = try await fetcher.fetch(request) } catch { throw Self.failure(error) }
        guard fetched.body.count <= Self.maximumAnswer else { throw Self.failure(.tooLong(limit: Self.maximumAnswer)) }
        return (fetched.status, (try? JSONValue(parsing: fetched.body, limit: Self.maximumAnswer))?.object)
    }

    private func token() throws(NodeAttestationError) -> String {
        let text = String(decoding: try read(access.token), as: UTF8.self).trimmed
        // It goes into a header, where a line feed would begin another.
        guard !text.isEmpty, text.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
            throw .unavailable("the issuer has no sound token for the cluster")
        }
        return text
    }

    private func authorities() throws(NodeAttestationError) -> [Certificate] {
        let text = String(decoding: try read(access.authority), as: UTF8.self)
        let documents = (try? PEMDocument.parseMultiple(pemString: text)) ?? []
        let found = documents.compactMap { try? Certificate(pemDocument: $0) }
        // With one that cannot be read, the others are not what was meant.
        guard !found.isEmpty, found.count == documents.count else {
            throw .unavailable("the issuer has no sound authorities for the cluster")
        }
        return found
    }

    private func read(_ material: KubernetesAccess.Material) throws(NodeAttestationError) -> [UInt8] {
        let contents: [UInt8]? =
            switch material {
            case .file(let path): (try? files.read(path, limit: Self.maximumFile)) ?? nil
            case .given(let bytes): bytes.exposed
            }
        guard let contents else { throw .unavailable("the issuer cannot read what it asks the cluster with") }
        return contents
    }

    private static func unexpected(_ status: Int) -> NodeAttestationError {
        .unavailable("the cluster answered with status \(status)")
    }

    private static func failure(_ error: HTTPFetchError) -> NodeAttestationError {
        switch error {
        case .badURL, .unreachable: .unavailable("the cluster cannot be reached")
        case .untrusted: .unavailable("the cluster's certificate is not trusted")
        case .tooSlow: .unavailable("the cluster did not answer in time")
        case .tooLong: .unavailable("the cluster's answer is too long")
        }
    }
}

extension String {
    /// The text without white space at its ends, which editors and tools leave in files.
    fileprivate var trimmed: String {
        let isBlank: (Character) -> Bool = { $0 == " " || $0 == "\n" || $0 == "\r\n" || $0 == "\t" }
        return String(drop(while: isBlank).reversed().drop(while: isBlank).reversed())
    }
}
