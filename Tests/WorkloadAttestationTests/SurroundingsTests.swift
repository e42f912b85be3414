import Foundation
import Glibc
import LinuxKernel
import Synchronization
import Testing
import WorkloadAttestation

@Suite("Units of systemd")
struct ServiceLocatorTests {
    private let root: Folder

    init() throws {
        root = try Folder()
        _ = try root.write("run/systemd/system/x", "")
        _ = try root.write("usr/lib/systemd/system/triage.service", "")
        _ = try root.write("etc/systemd/system/agent@.service", "")
        for path in [
            "system.slice/triage.service/sub", "system.slice/agent@7.service",
            "user.slice/user-1000.slice/user@1000.service/app.slice/bot.service", "machine",
        ] { _ = try root.write("sys/fs/cgroup/\(path)/cgroup.procs", "") }
    }

    private func unit(_ path: String, uid: UInt32 = 1000) -> Fact<ServiceUnit> {
        ServiceLocator(root: root.path).unit(of: CgroupMembership(unified: path, systemd: nil), uid: uid)
    }

    private static let ownFiles: Comment = "needs root, whose files the control groups' must be"

    @Test("A unit, and the file that defines it", .enabled(if: geteuid() == 0, ownFiles))
    func plain() {
        #expect(
            unit("/system.slice/triage.service").value
                == ServiceUnit(
                    id: "triage.service",
                    fragmentPath: .known("/usr/lib/systemd/system/triage.service", .file), userUnit: nil))
        #expect(unit("/system.slice/triage.service/sub").value?.id == "triage.service")
    }

    @Test("A unit made from a template", .enabled(if: geteuid() == 0, ownFiles))
    func template() {
        #expect(
            unit("/system.slice/agent@7.service").value?.fragmentPath
                == .known("/etc/systemd/system/agent@.service", .file))
    }

    @Test("A user's own unit is that user's alone", .enabled(if: geteuid() == 0, ownFiles))
    func userUnit() {
        let path = "/user.slice/user-1000.slice/user@1000.service/app.slice/bot.service"
        #expect(unit(path).value?.id == "user@1000.service")
        #expect(unit(path).value?.userUnit == "bot.service")
        #expect(unit(path, uid: 1001).value?.userUnit == nil)
    }

    @Test(
        "A control group that others than root could have made proves nothing", .enabled(if: geteuid() == 0, ownFiles))
    func delegated() {
        #expect(chown("\(root.path)/sys/fs/cgroup/system.slice", 1000, 1000) == 0)
        #expect(unit("/system.slice/triage.service").gap?.description.contains("is not root's alone") == true)
    }

    @Test("No unit, no such group, no systemd", .enabled(if: geteuid() == 0, ownFiles))
    func none() throws {
        #expect(unit("/machine").gap != nil)
        #expect(unit("/").gap != nil)
        #expect(unit("/gone.slice/x.service").gap?.description.contains("not mounted") == true)
        try FileManager.default.removeItem(atPath: "\(root.path)/run/systemd/system")
        #expect(unit("/system.slice/triage.service").gap == Gap("systemd does not run here"))
    }
}

@Suite("Containers")
struct ContainerTests {
    private static let id = digest("c")

    @Test(
        "The ID is found where runtimes put it",
        arguments: [
            ("/docker/\(id)", .docker, 2), ("/system.slice/docker-\(id).scope", .docker, 2),
            ("/machine.slice/libpod-\(id).scope/container", .podman, 2),
            ("/kubepods.slice/cri-containerd-\(id).scope", .other, 2),
            ("/docker/\(digest("d"))/docker/\(id)", .docker, 4),
        ] as [(String, ContainerFacts.Runtime, Int)])
    func finds(path: String, runtime: ContainerFacts.Runtime, depth: Int) {
        let found = ContainerFacts.find(in: path)
        #expect(found?.id == Self.id)
        #expect(found?.runtime == runtime)
        #expect(found?.depth == depth)
    }

    @Test(
        "And nowhere else",
        arguments: [
            "/", "/docker", "/docker/abc", "/\(id)", "/x/\(id)", "/docker-\(id.uppercased()).scope", "/docker-\(id)0",
        ])
    func ignores(path: String) { #expect(ContainerFacts.find(in: path) == nil) }

    @Test("Name, image, digests and labels come from the runtime's answers, once")
    func details() throws {
        let server = try FakeRuntime([
            "/containers/\(Self.id)/json": """
            {"Id":"\(Self.id)","Name":"/web","Image":"sha256:\(digest("e"))",
            "Config":{"Image":"example.org/agent:1","Labels":{"team":"a=b","n":null}}}
            """,
            "/images/sha256:\(digest("e"))/json": """
            {"RepoDigests":["example.org/agent@sha256:\(digest("9"))","x@sha256:short","nothing"]}
            """,
        ])
        let runtime = ContainerRuntime(docker: server.path, timeout: .seconds(5))
        for _ in 0..<3 {
            #expect(
                runtime.details(of: Self.id, runtime: .docker).value
                    == .init(
                        name: "web", image: "example.org/agent:1", imageDigests: [digest("9")],
                        labels: ["team": "a=b"]))
        }
        #expect(server.requests == 2)
    }

    @Test(
        "An answer that is not as expected leaves it unknown",
        arguments: [
            (nil, "answered 404"), ("", "not a JSON object"), ("[]", "not a JSON object"),
            ("{\"Id\":\"\(digest("d"))\"}", "another container"), ("{\"Id\":1,\"Id\":2}", "not a JSON object"),
            (String(repeating: " ", count: 2 << 20), "file too large"),
        ] as [(String?, String)])
    func refuses(body: String?, reason: String) throws {
        let server = try FakeRuntime(body.map { ["/containers/\(Self.id)/json": $0] } ?? [:])
        let runtime = ContainerRuntime(docker: server.path, timeout: .seconds(5))
        let gap = try #require(runtime.details(of: Self.id, runtime: .docker).gap)
        #expect(gap.description.contains(reason), "\(gap)")
    }

    @Test("A runtime that is silent is given up on within its deadline, and one that is absent at once")
    func silent() throws {
        let server = try FakeRuntime([:], isSilent: true)
        let runtime = ContainerRuntime(docker: server.path, podman: "/nowhere", timeout: .milliseconds(100))
        let started = ContinuousClock.now
        #expect(runtime.details(of: Self.id, runtime: .docker).gap?.description.contains("timed out") == true)
        #expect(ContinuousClock.now - started < .seconds(5))
        #expect(runtime.details(of: digest("a"), runtime: .podman).gap?.description.contains("no such file") == true)
        #expect(runtime.details(of: digest("b"), runtime: .other).gap != nil)
    }
}

@Suite("Packages of dpkg")
struct PackageIndexTests {
    @Test("The owner of a path, with its version, until dpkg says otherwise")
    func owner() throws {
        let folder = try Folder()
        _ = try folder.write("info/python3:amd64.list", "/.\n/usr\n/usr/bin/python3\n")
        _ = try folder.write("info/coreutils.list", "/bin/cat\n")
        _ = try folder.write("info/orphan.list", "/usr/bin/orphan\n")
        let status = "Package: python3\nStatus: ok\nVersion: 3.11-1\n\nPackage: coreutils\nVersion: 9\n"
        _ = try folder.write("status", status)
        let index = PackageIndex(folder: folder.path)
        #expect(index.owner(of: "/usr/bin/python3").value == "python3=3.11-1")
        #expect(index.owner(of: "/usr/bin/cat").value == "coreutils=9")
        #expect(index.owner(of: "/bin/cat").value == "coreutils=9")
        #expect(index.owner(of: "/usr/bin/orphan").gap != nil)
        #expect(index.owner(of: "/usr/bin/pytho").gap == Gap("no package owns it"))
        #expect(index.owner(of: "/srv/x").gap == Gap("no package installs files there"))
        _ = try folder.write("status", status.replacingOccurrences(of: "3.11-1", with: "3.12-10"))
        #expect(index.owner(of: "/usr/bin/python3").value == "python3=3.12-10")
    }

    @Test("A package's list is read once for each path, until dpkg has written")
    func once() throws {
        let folder = try Folder()
        let list = try folder.write("info/coreutils.list", "/bin/cat\n/bin/ls\n")
        _ = try folder.write("status", "Package: coreutils\nVersion: 9\n")
        let index = PackageIndex(folder: folder.path)
        #expect(index.owner(of: "/bin/cat").value == "coreutils=9")
        // In place, so that the folder does not show it.
        try #require(truncate(list, 0) == 0)
        #expect(index.owner(of: "/bin/cat").value == "coreutils=9")
        #expect(index.owner(of: "/bin/ls").gap != nil)
        _ = try folder.write("info/other.list", "/bin/other\n")
        #expect(index.owner(of: "/bin/cat").gap != nil)
    }

    @Test("Without dpkg nothing is known")
    func none() throws {
        #expect(PackageIndex(folder: "/nowhere").owner(of: "/usr/bin/x").gap == Gap("dpkg has no records here"))
    }
}

/// A small part of Docker's API: answers what it was given, over HTTP/1.0.
private final class FakeRuntime {
    private final class Counter: Sendable {
        let value = Mutex(0)
    }

    let path: String
    private let folder: Folder
    private let socket: Int32
    private let counter = Counter()

    var requests: Int { counter.value.withLock { $0 } }

    init(_ answers: [String: String], isSilent: Bool = false) throws {
        folder = try Folder()
        path = "\(folder.path)/s"
        socket = Glibc.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let bound = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(socket, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard bound == 0, listen(socket, 8) == 0 else { throw LinuxError("bind") }
        let (listener, counter) = (socket, counter)
        Thread {
            while true {
                let client = accept(listener, nil, nil)
                guard client >= 0 else { return }
                if isSilent { continue }
                var buffer = [UInt8](repeating: 0, count: 4096)
                let count = recv(client, &buffer, buffer.count, 0)
                let words = String(decoding: buffer[..<max(0, count)], as: UTF8.self).split(separator: " ")
                let body = words.count > 1 ? answers[String(words[1])] : nil
                counter.value.withLock { $0 += 1 }
                let answer = Array("HTTP/1.0 \(body == nil ? "404 No" : "200 OK")\r\nA: b\r\n\r\n\(body ?? "")".utf8)
                var sent = 0
                while sent < answer.count {
                    let count = send(client, Array(answer[sent...]), answer.count - sent, Int32(MSG_NOSIGNAL))
                    guard count > 0 else { break }
                    sent += count
                }
                close(client)
            }
        }.start()
    }

    deinit {
        shutdown(socket, Int32(SHUT_RDWR))
        close(socket)
    }
}
