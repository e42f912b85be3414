import Foundation
import OutboundHTTP
import SPIFFE
import Synchronization

/// A fake of a cluster's API server: it reviews the tokens that it is told of, and knows one pod and one node.
///
/// Nothing else of Kubernetes is here. It answers as the real one does to the three requests that attestation makes of
/// it (`authentication.k8s.io/v1` TokenReview; `v1` Pod and Node), and with 4xx to any other.
final class FakeKubernetesAPI: HTTPFetcher {
    /// What it says, for tests to change.
    struct Contents: Sendable {
        var token = "header.payload.signature"
        var audiences = ["spire-server"]
        var username = "system:serviceaccount:spire:spire-agent"
        var extra: [String: [String]] = [
            "authentication.kubernetes.io/pod-name": ["spire-agent-v5wgr"],
            "authentication.kubernetes.io/pod-uid": ["79261129-6b60-11e9-9054-0800277ac80f"],
            "authentication.kubernetes.io/node-uid": ["5dbb7b21-65fe-11e9-b1b0-0800277ac80f"],
        ]
        var reviewError = ""
        /// Whether it looks at the audiences that it is asked about; clusters before 1.13 do not.
        var knowsAudiences = true

        var podUID = "79261129-6b60-11e9-9054-0800277ac80f"
        var podLabels = ["app": "spire-agent", "tier": "node"]
        var podServiceAccount = "spire-agent"
        var podNode: String? = "worker-3"
        var podExists = true
        var nodeUID = "5dbb7b21-65fe-11e9-b1b0-0800277ac80f"
        var nodeLabels = ["topology.kubernetes.io/zone": "b", "kubernetes.io/os": "linux"]

        /// The token that it takes from the issuer.
        var issuerToken = "issuer-token"
        /// Answers with these instead, by the path's last part but one.
        var answers: [String: HTTPFetched] = [:]
        var failure: HTTPFetchError?
    }

    private let state: Mutex<(contents: Contents, requests: [HTTPFetch])>

    init(_ change: (inout Contents) -> Void = { _ in }) {
        var contents = Contents()
        change(&contents)
        state = Mutex((contents, []))
    }

    /// What it was asked.
    var requests: [HTTPFetch] { state.withLock { $0.requests } }

    func change(_ change: (inout Contents) -> Void) { state.withLock { change(&$0.contents) } }

    func fetch(_ request: HTTPFetch) async throws(HTTPFetchError) -> HTTPFetched {
        let contents = state.withLock { state in
            state.requests.append(request)
            return state.contents
        }
        if let failure = contents.failure { throw failure }
        let fetched = Self.answer(request, contents)
        guard fetched.body.count <= request.maximumBody else { throw .tooLong(limit: request.maximumBody) }
        return fetched
    }

    private static func answer(_ request: HTTPFetch, _ contents: Contents) -> HTTPFetched {
        let prefix = "https://kubernetes.test:6443"
        guard request.url.hasPrefix(prefix) else { return status(404) }
        let authorization = request.headers.filter { $0.name == "Authorization" }.map(\.value)
        guard authorization == ["Bearer \(contents.issuerToken)"] else { return status(401) }
        let path = String(request.url.dropFirst(prefix.count))
        switch (request.method, path) {
        case ("POST", "/apis/authentication.k8s.io/v1/tokenreviews"):
            return contents.answers["review"] ?? review(request, contents)
        case ("GET", "/api/v1/namespaces/spire/pods/spire-agent-v5wgr"):
            return contents.answers["pod"] ?? (contents.podExists ? pod(contents) : status(404))
        case ("GET", "/api/v1/nodes/worker-3"): return contents.answers["node"] ?? node(contents)
        default: return status(404)
        }
    }

    private static func review(_ request: HTTPFetch, _ contents: Contents) -> HTTPFetched {
        guard let question = (try? JSONValue(parsing: request.body))?.object, question["kind"]?.string == "TokenReview",
            question["apiVersion"]?.string == "authentication.k8s.io/v1", let token = question["spec"]?.object
        else { return status(400) }
        let asked = token["audiences"]?.array?.compactMap(\.string) ?? []
        let isMeant = asked.isEmpty || !contents.knowsAudiences || !Set(asked).isDisjoint(with: contents.audiences)
        var verdict: [(String, JSONValue)] = []
        if token["token"]?.string == contents.token, isMeant {
            let extra = contents.extra.map { ($0.key, JSONValue.array($0.value.map { .string($0) })) }
            verdict = [
                ("authenticated", .bool(true)),
                (
                    "user",
                    .members(["username": .string(contents.username), "extra": .object(JSONObject(extra))])
                ),
            ]
            if contents.knowsAudiences {
                verdict.append(("audiences", .array(contents.audiences.map { .string($0) })))
            }
        }
        if !contents.reviewError.isEmpty { verdict.append(("error", .string(contents.reviewError))) }
        return json(
            201,
            [
                "kind": .string("TokenReview"), "apiVersion": .string("authentication.k8s.io/v1"),
                "status": .object(JSONObject(verdict)),
            ])
    }

    private static func pod(_ contents: Contents) -> HTTPFetched {
        var specification: [(String, JSONValue)] = [("serviceAccountName", .string(contents.podServiceAccount))]
        if let node = contents.podNode { specification.append(("nodeName", .string(node))) }
        return json(
            200,
            [
                "kind": .string("Pod"), "apiVersion": .string("v1"),
                "metadata": .members([
                    "name": .string("spire-agent-v5wgr"), "namespace": .string("spire"),
                    "uid": .string(contents.podUID),
                    "labels": labels(contents.podLabels),
                ]),
                "spec": .object(JSONObject(specification)), "status": .members(["hostIP": .string("172.16.10.1")]),
            ])
    }

    private static func node(_ contents: Contents) -> HTTPFetched {
        json(
            200,
            [
                "kind": .string("Node"), "apiVersion": .string("v1"),
                "metadata": .members([
                    "name": .string("worker-3"), "uid": .string(contents.nodeUID),
                    "labels": labels(contents.nodeLabels),
                ]),
            ])
    }

    private static func labels(_ labels: [String: String]) -> JSONValue {
        .object(JSONObject(labels.sorted { $0.key < $1.key }.map { ($0.key, .string($0.value)) }))
    }

    private static func status(_ code: Int) -> HTTPFetched {
        HTTPFetched(status: code, body: Array(#"{"kind":"Status","apiVersion":"v1","status":"Failure"}"#.utf8))
    }

    private static func json(_ status: Int, _ members: KeyValuePairs<String, JSONValue>) -> HTTPFetched {
        HTTPFetched(status: status, body: Array(JSONValue.members(members).compactText.utf8))
    }
}
