import Foundation
import NodeAttestation
import OutboundHTTP
import Platform
import SPIFFE
import TestSupport
import Testing
import X509

@Suite("k8s_psat with a fake of the cluster's API")
struct K8sPSATAttestationTests {
    private static let context = NodeAttestationTests.context(now: CertificateRecipe.now)

    /// The issuer's files for the cluster, and the agent's token.
    private static func files() throws -> MemoryFileSystem {
        let files = MemoryFileSystem()
        files.place("/kube/ca.crt", try TestCA().certificate.pemText().utf8)
        files.place("/kube/token", "issuer-token\n".utf8)
        files.place("/var/run/secrets/tokens/spire-agent", "header.payload.signature".utf8)
        return files
    }

    private static func cluster(
        _ change: (inout K8sPSATSettings.Cluster) -> Void = { _ in }
    ) throws -> K8sPSATSettings.Cluster {
        var cluster = K8sPSATSettings.Cluster(
            serviceAccounts: ["spire:spire-agent"],
            access: try KubernetesAccess(
                server: "https://kubernetes.test:6443/", authorityPath: "/kube/ca.crt", tokenPath: "/kube/token"),
            nodeLabelKeys: ["topology.kubernetes.io/zone", "absent"], podLabelKeys: ["app"])
        change(&cluster)
        return cluster
    }

    private static func attest(
        _ api: FakeKubernetesAPI, _ cluster: K8sPSATSettings.Cluster? = nil, files: MemoryFileSystem? = nil,
        payload: String? = nil
    ) async throws -> AttestedNode {
        let files = try files ?? Self.files()
        let attestor = try K8sPSATAttestor(
            K8sPSATSettings(clusters: ["production": try cluster ?? Self.cluster()]), fetcher: api, files: files)
        let prover = K8sPSATProver(cluster: "production", files: files)
        let bytes: [UInt8]
        if let payload { bytes = Array(payload.utf8) } else { bytes = try await prover.payload() }
        return try await attestor.attest(bytes, context: context, exchange: ProverExchange(prover))
    }

    private static func expectRefusal(
        _ reason: NodeAttestationError, _ cluster: K8sPSATSettings.Cluster? = nil, files: MemoryFileSystem? = nil,
        payload: String? = nil, note: String = "", _ change: (inout FakeKubernetesAPI.Contents) -> Void = { _ in }
    ) async {
        let api = FakeKubernetesAPI(change)
        await #expect(throws: reason, "\(note)") {
            try await attest(api, cluster, files: files, payload: payload)
        }
    }

    @Test("An agent's pod gets in under its node's UID, with what the cluster says of both")
    func admits() async throws {
        let api = FakeKubernetesAPI()
        let node = try await Self.attest(api)
        #expect(node.path == "k8s_psat/production/5dbb7b21-65fe-11e9-b1b0-0800277ac80f")
        #expect(node.canReattest)
        #expect(
            node.selectors.map(\.description) == [
                "k8s_psat:cluster:production", "k8s_psat:agent_ns:spire", "k8s_psat:agent_sa:spire-agent",
                "k8s_psat:agent_pod_name:spire-agent-v5wgr",
                "k8s_psat:agent_pod_uid:79261129-6b60-11e9-9054-0800277ac80f", "k8s_psat:agent_node_name:worker-3",
                "k8s_psat:agent_node_uid:5dbb7b21-65fe-11e9-b1b0-0800277ac80f", "k8s_psat:agent_node_ip:172.16.10.1",
                "k8s_psat:agent_node_label:topology.kubernetes.io/zone:b", "k8s_psat:agent_pod_label:app:spire-agent",
            ])
        #expect(
            api.requests.map { "\($0.method) \($0.url)" } == [
                "POST https://kubernetes.test:6443/apis/authentication.k8s.io/v1/tokenreviews",
                "GET https://kubernetes.test:6443/api/v1/namespaces/spire/pods/spire-agent-v5wgr",
                "GET https://kubernetes.test:6443/api/v1/nodes/worker-3",
            ])
        for request in api.requests {
            guard case .authorities(let authorities) = request.trust else {
                Issue.record("the cluster is believed by its own authorities alone")
                continue
            }
            #expect(authorities.count == 1)
        }
        let question = """
            {"apiVersion":"authentication.k8s.io/v1","kind":"TokenReview","spec":{"token":"header.payload.signature",\
            "audiences":["spire-server"]}}
            """
        #expect(String(decoding: try #require(api.requests.first).body, as: UTF8.self) == question)
    }

    @Test("A token that is shown many times at once is the same agent, and the cluster is asked each time")
    func atOnce() async throws {
        let api = FakeKubernetesAPI()
        let paths = try await withThrowingTaskGroup(of: String.self) { group in
            for _ in 0..<12 { group.addTask { try await Self.attest(api).path } }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(paths.count == 12 && Set(paths).count == 1)
        #expect(api.requests.count == 36)
    }

    @Test("A token that is shown again lets nobody in once its pod, its node or the token itself is gone")
    func replayed() async throws {
        let changes: [@Sendable (inout FakeKubernetesAPI.Contents) -> Void] = [
            { $0.podExists = false }, { $0.podUID = "a-new-pod" }, { $0.nodeUID = "a-new-node" },
            { $0.token = "another" },
        ]
        for change in changes {
            let api = FakeKubernetesAPI()
            _ = try await Self.attest(api)
            api.change(change)
            await #expect(throws: NodeAttestationError.self) { try await Self.attest(api) }
        }
    }

    @Test("Agents may be called after their pods")
    func podUID() async throws {
        let node = try await Self.attest(FakeKubernetesAPI(), try Self.cluster { $0.namesAgentsAfterPods = true })
        #expect(node.path == "k8s_psat/production/pod/79261129-6b60-11e9-9054-0800277ac80f")
    }

    @Test("The issuer's own token is read for each attestation")
    func renewedToken() async throws {
        let files = try Self.files()
        let api = FakeKubernetesAPI()
        _ = try await Self.attest(api, files: files)
        api.change { $0.issuerToken = "renewed" }
        await #expect(throws: NodeAttestationError.unavailable("the cluster answered with status 401")) {
            try await Self.attest(api, files: files)
        }
        files.place("/kube/token", "renewed".utf8)
        _ = try await Self.attest(api, files: files)
    }

    @Test("A token that the cluster does not know, or that is for somebody else, lets nobody in")
    func tokens() async throws {
        await Self.expectRefusal(
            .refused("the cluster does not know the token"),
            payload: #"{"cluster":"production","token":"another.payload.signature"}"#)
        await Self.expectRefusal(.refused("the cluster does not know the token")) { $0.audiences = ["vault"] }
        // Nothing of audiences is known to this one, so it cannot have judged them.
        await Self.expectRefusal(.refused("the token is for another audience")) { $0.knowsAudiences = false }
        await Self.expectRefusal(.refused("the token's service account may not attest nodes")) {
            $0.username = "system:serviceaccount:spire:default"
        }
        await Self.expectRefusal(.refused("the token's service account may not attest nodes")) {
            $0.username = "system:serviceaccount:elsewhere:spire-agent"
        }
        for username in [
            "", "spire-agent", "system:node:worker-3", "system:serviceaccount:spire",
            "evil:serviceaccount:spire:spire-agent",
            "system:serviceaccount:spire:spire-agent:more", "system:serviceaccount:../spire:spire-agent",
            "system:serviceaccount::spire-agent",
        ] {
            await Self.expectRefusal(.refused("the token is not bound to a pod"), note: username) {
                $0.username = username
            }
        }
        for field in ["pod-name", "pod-uid"] {
            for values in [nil, [], [""], ["a", "b"]] as [[String]?] {
                await Self.expectRefusal(.refused("the token is not bound to a pod"), note: field) {
                    $0.extra["authentication.kubernetes.io/\(field)"] = values
                }
            }
        }
        for name in ["../../../api/v1/secrets", "a/b", "a?b", "A", "a b", ".", "-a", "a%2e"] {
            await Self.expectRefusal(.refused("the token is not bound to a pod"), note: name) {
                $0.extra["authentication.kubernetes.io/pod-name"] = [name]
            }
        }
    }

    @Test("Without audiences of its own, an issuer takes what the cluster takes")
    func clusterAudience() async throws {
        let api = FakeKubernetesAPI { $0.audiences = ["https://kubernetes.default.svc"] }
        _ = try await Self.attest(api, try Self.cluster { $0.audiences = [] })
        #expect(!String(decoding: try #require(api.requests.first).body, as: UTF8.self).contains("audiences"))
    }

    @Test("A token outlives neither its pod nor the node that it was made for")
    func places() async throws {
        await Self.expectRefusal(.refused("the token's pod is gone")) { $0.podExists = false }
        // Another pod of the same name.
        await Self.expectRefusal(.refused("the token's pod is gone")) { $0.podUID = "another" }
        await Self.expectRefusal(.refused("the token's pod does not run under its service account")) {
            $0.podServiceAccount = "default"
        }
        await Self.expectRefusal(.refused("the token's pod runs on no node")) { $0.podNode = nil }
        await Self.expectRefusal(.refused("the token's pod runs on no node")) { $0.podNode = "worker-4" }
        await Self.expectRefusal(.refused("the token's pod runs on no node")) { $0.podNode = "../pods" }
        await Self.expectRefusal(.refused("the token is bound to another node")) { $0.nodeUID = "another" }
        await Self.expectRefusal(.refused("the cluster's UID cannot stand in a SPIFFE ID")) {
            $0.nodeUID = "a/../b"
            $0.extra["authentication.kubernetes.io/node-uid"] = nil
        }
        await Self.expectRefusal(.unavailable("the cluster's answer cannot be read")) { $0.nodeUID = "" }
    }

    @Test("Older clusters, which bind tokens to no node, are served as well")
    func olderCluster() async throws {
        _ = try await Self.attest(
            FakeKubernetesAPI { $0.extra["authentication.kubernetes.io/node-uid"] = nil })
    }

    @Test("Whatever is not the answer is none", arguments: ["review", "pod", "node"])
    func answers(_ question: String) async throws {
        let unread: NodeAttestationError =
            question == "review"
            ? .unavailable("the cluster did not review the token") : .unavailable("the cluster's answer cannot be read")
        for body in [
            "", "{", "[]", "{}", #"{"kind":"Status"}"#, #"{"kind":"TokenReview"}"#, #"{"kind":"Pod"}"#,
            #"{"kind":"Pod","metadata":{"name":"other","uid":"u"}}"#, #"{"kind":"Node","metadata":{"name":1,"uid":2}}"#,
            #"{"kind":"TokenReview","status":null}"#, String(repeating: "[", count: 5000),
            #"{"kind":"TokenReview","status":{"authenticated":true,"error":"no"}}"#,
        ] {
            await Self.expectRefusal(unread, note: body) {
                $0.answers[question] = HTTPFetched(status: 200, body: Array(body.utf8))
            }
        }
        for status in [204, 301, 302, 307, 308, 400, 401, 403, 409, 429, 500, 503] {
            await Self.expectRefusal(.unavailable("the cluster answered with status \(status)")) {
                $0.answers[question] = HTTPFetched(status: status, body: Array("{}".utf8))
            }
        }
        await Self.expectRefusal(.unavailable("the cluster's answer is too long")) {
            $0.answers[question] = HTTPFetched(status: 200, body: [UInt8](repeating: 0x20, count: (1 << 20) + 1))
        }
    }

    @Test("Only 'true' is true")
    func authenticated() async throws {
        for value in ["false", "1", #""true""#, "null", "[true]"] {
            await Self.expectRefusal(.refused("the cluster does not know the token"), note: value) {
                $0.answers["review"] = HTTPFetched(
                    status: 201, body: Array(#"{"kind":"TokenReview","status":{"authenticated":\#(value)}}"#.utf8))
            }
        }
    }

    @Test(
        "A cluster that cannot be asked lets nobody in, and the node learns nothing of where it is",
        arguments: [
            (.unreachable("connect 10.96.0.1:443: refused"), "the cluster cannot be reached"),
            (.badURL("https://kubernetes.test"), "the cluster cannot be reached"),
            (.untrusted("kubernetes.test"), "the cluster's certificate is not trusted"),
            (.tooSlow, "the cluster did not answer in time"), (.tooLong(limit: 7), "the cluster's answer is too long"),
        ] as [(HTTPFetchError, String)])
    func failures(_ error: HTTPFetchError, _ reason: String) async throws {
        await Self.expectRefusal(.unavailable(reason)) { $0.failure = error }
    }

    @Test("An issuer without its own token or authorities asks nobody")
    func issuerFiles() async throws {
        for (path, contents, reason) in [
            ("/kube/token", nil, "the issuer cannot read what it asks the cluster with"),
            ("/kube/token", "", "the issuer has no sound token for the cluster"),
            ("/kube/token", "a\r\nX-Injected: b", "the issuer has no sound token for the cluster"),
            ("/kube/ca.crt", nil, "the issuer cannot read what it asks the cluster with"),
            ("/kube/ca.crt", "nothing", "the issuer has no sound authorities for the cluster"),
        ] as [(String, String?, String)] {
            let files = try Self.files()
            if let contents { files.place(path, contents.utf8) } else { try files.remove(path) }
            let api = FakeKubernetesAPI()
            await #expect(throws: NodeAttestationError.unavailable(reason)) { try await Self.attest(api, files: files) }
            #expect(api.requests.isEmpty)
        }
    }

    @Test(
        "A payload names a known cluster and holds a token",
        arguments: [
            ("", "malformed"), ("[]", "malformed"), ("{}", "malformed"), (#"{"cluster":"production"}"#, "malformed"),
            (#"{"cluster":"","token":"t"}"#, "malformed"), (#"{"cluster":"production","token":""}"#, "malformed"),
            (#"{"cluster":1,"token":"t"}"#, "malformed"),
            (#"{"cluster":"production","token":"t","token":"u"}"#, "malformed"),
            (#"{"cluster":"other","token":"t"}"#, "refused"), (#"{"cluster":"Production","token":"t"}"#, "refused"),
        ])
    func payloads(_ payload: String, _ kind: String) async throws {
        let api = FakeKubernetesAPI()
        let error = await #expect(throws: NodeAttestationError.self) { try await Self.attest(api, payload: payload) }
        switch error {
        case .malformed?: #expect(kind == "malformed")
        case .refused?: #expect(kind == "refused")
        default: Issue.record("\(String(describing: error))")
        }
        #expect(api.requests.isEmpty)
    }

    @Test("An attestor that could never let a sound node in is not made")
    func settings() throws {
        for name in ["", "a/b", "..", "a b", "ü"] {
            #expect(throws: NodeAttestationError.self) {
                try K8sPSATAttestor(
                    K8sPSATSettings(clusters: [name: try Self.cluster()]), fetcher: FakeKubernetesAPI(),
                    files: MemoryFileSystem())
            }
        }
        #expect(throws: NodeAttestationError.self) {
            try K8sPSATAttestor(
                K8sPSATSettings(clusters: [
                    "production": K8sPSATSettings.Cluster(serviceAccounts: [], access: try Self.cluster().access)
                ]), fetcher: FakeKubernetesAPI(), files: MemoryFileSystem())
        }
        for server in ["http://kubernetes.test", "kubernetes.test", "https://", "https://kubernetes.test?x"] {
            #expect(throws: NodeAttestationError.self) {
                try KubernetesAccess(server: server, authorityPath: "/ca", tokenPath: "/token")
            }
        }
        #expect(try KubernetesAccess(podEnvironment: "10.96.0.1", port: "443").server == "https://10.96.0.1:443")
        #expect(try KubernetesAccess(podEnvironment: "fd00::1", port: "443").server == "https://[fd00::1]:443")
    }

    @Test("An agent shows its token as SPIRE's agents do, and only a token")
    func prover() async throws {
        let files = MemoryFileSystem()
        let prover = K8sPSATProver(cluster: "production", tokenPath: "/token", files: files)
        #expect(prover.type == "k8s_psat")
        await #expect(throws: NodeAttestationError.unavailable("no token at /token")) { try await prover.payload() }
        for text in ["", "\n", "two words", "a\u{0}b", "é"] {
            files.place("/token", text.utf8)
            await #expect(throws: NodeAttestationError.unavailable("/token does not hold a token")) {
                try await prover.payload()
            }
        }
        files.place("/token", "a.b.c\n".utf8)
        #expect(
            String(decoding: try await prover.payload(), as: UTF8.self) == #"{"cluster":"production","token":"a.b.c"}"#)
        files.place("/token", [UInt8](repeating: 0x61, count: (48 << 10) + 1))
        await #expect(throws: NodeAttestationError.self) { try await prover.payload() }
        await #expect(throws: NodeAttestationError.self) { try await prover.answer(to: []) }
    }
}
