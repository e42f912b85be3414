import LinuxKernel
import Testing

private func bytes(_ text: String) -> ArraySlice<UInt8> { Array(text.utf8)[...] }

@Suite("/proc/PID/status")
struct ProcessStatusTests {
    private static let healthy = """
        Name:\tweb
        Umask:\t0022
        PPid:\t41
        TracerPid:\t0
        Uid:\t1000\t1001\t1002\t1003
        Gid:\t2000\t2001\t2002\t2003
        Groups:\t4 24 27 
        NSpid:\t77\t1
        CapInh:\t0000000000000000
        CapPrm:\t000001fffeffffff
        CapEff:\t0000000000000001
        CapBnd:\t000001fffeffffff
        CapAmb:\t0000000000000000
        NoNewPrivs:\t1
        Seccomp:\t2
        Seccomp_filters:\t1

        """

    @Test("Every wanted line is read")
    func reads() {
        let status = ProcessStatus(parsing: bytes(Self.healthy))
        #expect(status.users == .init(real: 1000, effective: 1001, saved: 1002, fileSystem: 1003))
        #expect(status.groups == .init(real: 2000, effective: 2001, saved: 2002, fileSystem: 2003))
        #expect(status.supplementaryGroups == [4, 24, 27])
        #expect(status.tracer == 0)
        #expect(status.parent == 41)
        #expect(status.noNewPrivileges == true)
        #expect(status.seccomp == .filter)
        #expect(
            status.capabilities
                == .init(inheritable: 0, permitted: 0x1ff_feff_ffff, effective: 1, ambient: 0))
        #expect(status.capabilities?.isEmpty == false)
    }

    @Test(
        "A doubled line is as good as none, wherever it stands",
        arguments: ["TracerPid:\t0\n", "Uid:\t0\t0\t0\t0\n", "Seccomp:\t0\n", "CapEff:\t0000000000000000\n"])
    func doubled(line: String) {
        for text in [line + Self.healthy, Self.healthy + line, Self.healthy + String(line.dropLast())] {
            let status = ProcessStatus(parsing: bytes(text))
            switch line.prefix(3) {
            case "Tra": #expect(status.tracer == nil)
            case "Uid": #expect(status.users == nil)
            case "Sec": #expect(status.seccomp == nil)
            default: #expect(status.capabilities == nil)
            }
            #expect(status.noNewPrivileges == true)
        }
    }

    @Test(
        "A malformed value is unknown",
        arguments: [
            "TracerPid:\t-1", "TracerPid:\t0x0", "TracerPid:\t", "TracerPid:\t1 2", "TracerPid:\t4294967295",
            "TracerPid:\t99999999999999999999999", "TracerPid:\t0\u{0}",
        ])
    func malformed(line: String) {
        let status = ProcessStatus(parsing: bytes(Self.healthy.replacing("TracerPid:\t0", with: line)))
        #expect(status.tracer == nil)
        #expect(status.users != nil)
    }

    @Test("A longer name that ends like a wanted one is another")
    func longerName() {
        let long = String(repeating: "x", count: 16)
        let status = ProcessStatus(parsing: bytes("\(long)TracerPid:\t0\nNTracerPid:\t0\n\0TracerPid:\t0\nTracerPid\n"))
        #expect(status.tracer == nil)
    }

    @Test("Nothing at all says nothing")
    func nothing() {
        let status = ProcessStatus(parsing: [])
        #expect(status.users == nil && status.tracer == nil && status.capabilities == nil)
    }
}

@Suite("/proc/PID/stat")
struct ProcessStatTests {
    private static let tail =
        "S 41 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654 100 200 18446744073709551615 94000 95000 140 0 0 0"

    @Test(
        "The name may hold anything",
        arguments: ["cat", "a b", ")", "x) R 1 1", "(((", "", ") S 1 1 1\n77 (y", "\u{7f}"])
    func name(_ name: String) {
        let stat = ProcessStat(parsing: bytes("77 (\(name)) \(Self.tail)\n"))
        #expect(stat?.pid == 77)
        #expect(stat?.parent == 41)
        #expect(stat?.startTicks == 987654)
    }

    @Test(
        "What is cut short or malformed is refused",
        arguments: [
            "", "77", "77 (cat", "77 cat) S 1", "77 (cat)", "77 (cat) S", "77 (cat) S 41 7 7",
            "x (cat) " + tail, "77 (cat) " + tail.replacing("987654", with: "9x"),
            "77 (cat) " + tail.replacing("987654", with: "-1"),
            "77 (cat) " + tail.replacing("987654", with: "99999999999999999999999"),
            "99999999999 (cat) " + tail, ") (", ")",
        ])
    func refuses(text: String) { #expect(ProcessStat(parsing: bytes(text)) == nil) }
}

@Suite("/proc/PID/maps")
struct ExecutableMappingTests {
    private static let text = """
        5581e0000000-5581e0002000 r--p 00000000 fe:00 131                        /usr/bin/cat
        5581e0002000-5581e0007000 r-xp 00002000 fe:00 131                        /usr/bin/cat
        5581e1000000-5581e1021000 rw-p 00000000 00:00 0                          [heap]
        7f0000000000-7f0000001000 rwxs 00000000 00:01 9                          /memfd:x (deleted)
        7f0000002000-7f0000003000 r-xp 00000000 00:00 0
        7f0000004000-7f0000005000 r-xp 00000000 00:1b 12                         /tmp/a\\012b c (deleted)
        7ffd00000000-7ffd00002000 r-xp 00000000 00:00 0                          [vdso]
        ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]

        """

    @Test("Executable lines are read, and told apart by what is behind them")
    func reads() throws {
        let found = try #require(ExecutableMapping.parse(maps: bytes(Self.text), limit: 100))
        #expect(found.count == 6)
        #expect(found[0].backing == .file(device: 0xfe00, inode: 131))
        #expect(found[0].offset == 0x2000)
        #expect(found[0].contains(0x5581_e000_2000) && !found[0].contains(0x5581_e000_7000))
        #expect(found[1].backing == .file(device: 1, inode: 9))
        #expect(found[1].isShared && found[1].isWritable)
        #expect(found[2].backing == .anonymous)
        #expect(found[3].backing == .file(device: 0x1b, inode: 12))
        #expect(found[4].backing == .vdso)
        #expect(found[5].backing == .vsyscall)
    }

    @Test(
        "Nothing but the kernel's own names makes memory the kernel's",
        arguments: [
            "7f0000002000-7f0000003000 r-xp 00000000 00:00 0    [vdso] ",
            "7f0000002000-7f0000003000 r-xp 00000000 00:00 0    /[vdso]",
            "7f0000002000-7f0000003000 r-xp 00000000 00:00 0    [anon:[vdso]]",
            "7f0000002000-7f0000003000 r-xp 00000000 00:01 0    [vdso]",
            "7f0000002000-7f0000003000 r-xp 00000000 00:00 0    [vsyscall]",
            "7f0000002000-7f0000003000 r-xp 00000000 00:00 0    [stack]",
        ])
    func forged(line: String) {
        #expect(ExecutableMapping.parse(maps: bytes(line), limit: 1)?.first?.backing == .anonymous)
    }

    @Test(
        "A malformed line spoils the whole",
        arguments: [
            "x", "\n", "1000-2000", "1000-2000 r-x", "1000-2000 r-xq 0 0:0 0", "2000-1000 r-xp 0 0:0 0",
            "1000-1000 r-xp 0 0:0 0", "1000-2000 rwxz 0 0:0 0", "1000-2000 r-xp 0 0:0 x", "1000-2000 r-xp 0 00 0",
            "11111111111111111-2 r-xp 0 0:0 0", "1000-2000 r-xp 0 fffffffff:0 1", "1000-2000 r-xp 0 0:0 12x",
            "3000-4000 r-xp 0 0:0 0\n1000-2000 r-xp 0 0:0 0\n", "1000-2000 R-xp 0 0:0 0",
            "1000-2000 r-xp 0 0:0 99999999999999999999",
        ])
    func refuses(text: String) { #expect(ExecutableMapping.parse(maps: bytes(text), limit: 10) == nil) }

    @Test("More mappings than are looked at are refused, and others do not count")
    func bounded() {
        let line = { (start: Int) in "\(String(start, radix: 16))-\(String(start + 1, radix: 16)) r-xp 0 0:0 0\n" }
        let plain = (1...5000).map { line($0).replacing("r-xp", with: "r--p") }.joined()
        #expect(ExecutableMapping.parse(maps: bytes(plain), limit: 1)?.isEmpty == true)
        #expect(ExecutableMapping.parse(maps: bytes((1...10).map(line).joined()), limit: 10)?.count == 10)
        #expect(ExecutableMapping.parse(maps: bytes((1...11).map(line).joined()), limit: 10) == nil)
    }
}

@Suite("/proc/PID/cgroup")
struct CgroupMembershipTests {
    @Test("Version 2 alone")
    func unified() {
        let found = CgroupMembership(parsing: bytes("0::/system.slice/a:b.service\n"))
        #expect(found == CgroupMembership(unified: "/system.slice/a:b.service", systemd: nil))
        #expect(found?.managed == "/system.slice/a:b.service")
    }

    @Test("Both versions at once: where systemd manages version 1, that counts")
    func hybrid() {
        let found = CgroupMembership(
            parsing: bytes("9:name=systemd:/user.slice\n4:memory:/m\n1:cpu,cpuacct:/\n0::/x\n"))
        #expect(found?.managed == "/user.slice")
        #expect(found?.unified == "/x")
        #expect(found?.controllers == ["memory": "/m", "cpu,cpuacct": "/"])
        #expect(CgroupMembership(parsing: bytes("9:name=systemd:/\n0::/x\n"))?.managed == "/x")
    }

    @Test(
        "What is malformed, doubled, or outside of our namespace is refused",
        arguments: [
            "0::x\n", "0:/x\n", "::/x\n", "0::/x\n0::/y\n", "9:name=systemd:/x\n8:name=systemd:/y\n",
            "4:memory:/a\n5:memory:/b\n", "0::/../x\n", "0::/..\n", "0::\n", "\n",
        ])
    func refuses(text: String) { #expect(CgroupMembership(parsing: bytes(text)) == nil) }

    @Test("Bytes that are no text are refused")
    func noText() { #expect(CgroupMembership(parsing: Array("0::/".utf8)[...] + [0xff, 0x0a]) == nil) }
}

@Suite("/proc/PID/auxv and single numbers")
struct SmallProcTests {
    private func words(_ words: [UInt64]) -> ArraySlice<UInt8> {
        words.flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> ($0 * 8)) } }[...]
    }

    @Test("The entry point is found")
    func vector() {
        let found = AuxiliaryVector(parsing: words([33, 5, 9, 0x1000, 3, 0x40, 25, 0x7fff, 0, 0]))
        #expect(found?.entry == 0x1000)
    }

    @Test("A vector without end, cut short, or with a key twice is refused")
    func brokenVector() {
        for bad in [[], [9], [9, 1], [9, 1, 9, 2, 0, 0], [9, 1, 0]] as [[UInt64]] {
            #expect(AuxiliaryVector(parsing: words(bad)) == nil)
        }
        #expect(AuxiliaryVector(parsing: words([9, 1, 0, 0]).dropLast()) == nil)
        #expect(AuxiliaryVector(parsing: words([UInt64](repeating: 7, count: 600) + [0, 0])) == nil)
    }

    @Test("Namespace links")
    func namespaces() {
        #expect(ProcNumbers.namespace("mnt", link: bytes("mnt:[4026531841]")) == 4_026_531_841)
        for bad in ["mnt:[x]", "mnt:[1", "mnt:[1]x", "pid:[1]", "mnt:[]", "", "mnt:1"] {
            #expect(ProcNumbers.namespace("mnt", link: bytes(bad)) == nil)
        }
    }

    @Test("Login numbers")
    func logins() {
        #expect(ProcNumbers.session(bytes("1000")) == 1000)
        #expect(ProcNumbers.session(bytes("4294967295\n")) == UInt32.max)
        for bad in ["", "-1", "4294967296", "1 2", "0x1"] { #expect(ProcNumbers.session(bytes(bad)) == nil) }
    }

    @Test("The process behind a pidfd")
    func fdinfo() {
        #expect(ProcNumbers.pid(fdinfo: bytes("pos:\t0\nflags:\t02\nPid:\t77\nNSpid:\t77\n")) == 77)
        for bad in ["", "Pid:\t-1\n", "Pid:\t0\n", "Pid:\t1\nPid:\t1\n", "Pid:\tx\n", "NSpid:\t1\n", "Pid:\t1 2\n"] {
            #expect(ProcNumbers.pid(fdinfo: bytes(bad)) == nil)
        }
    }

    @Test("Mount ids")
    func mounts() {
        #expect(
            ProcNumbers.mounts(mountinfo: bytes("27 1 254:0 / / rw - ext4 /dev/vda rw\n28 27 0:25 / /x\n")) == [27, 28])
        #expect(ProcNumbers.mounts(mountinfo: bytes("x 1\n")) == nil)
    }
}
