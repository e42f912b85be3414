import LinuxKernel
import Testing

@Suite("Credentials in /proc/PID/status")
struct ProcessCredentialsTests {
    private static let healthy = """
        Name:\tweb
        Umask:\t0022
        State:\tS (sleeping)
        Uid:\t1000\t1001\t1002\t1003
        Gid:\t2000\t2001\t2002\t2003
        FDSize:\t64
        Groups:\t4 24 27 
        NStgid:\t77

        """

    @Test("The effective ids and every supplementary group are read")
    func reads() {
        #expect(
            ProcessCredentials(status: Self.healthy)
                == ProcessCredentials(uid: 1001, gid: 2001, supplementaryGroups: [4, 24, 27]))
    }

    @Test("A process without supplementary groups has none")
    func noGroups() throws {
        let credentials = ProcessCredentials(status: "Uid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\nGroups:\t \n")
        #expect(credentials == ProcessCredentials(uid: 0, gid: 0, supplementaryGroups: []))
    }

    @Test("The largest id is read as it is")
    func largest() {
        let credentials = ProcessCredentials(
            status: "Uid:\t1\t4294967294\t1\t1\nGid:\t1\t4294967295\t1\t1\nGroups:\t4294967295\n")
        #expect(
            credentials
                == ProcessCredentials(uid: 4_294_967_294, gid: 4_294_967_295, supplementaryGroups: [4_294_967_295]))
    }

    @Test("A name that looks like another line changes nothing")
    func hostileName() {
        let status = Self.healthy.replacing("Name:\tweb", with: "Name:\tx\\nUid:\\t0\\t0\\t0\\t0")
        #expect(ProcessCredentials(status: status)?.uid == 1001)
    }

    @Test(
        "What is missing, doubled or malformed is not guessed at",
        arguments: [
            ("", "nothing at all"),
            ("Uid:\t1\t1\t1\t1\nGid:\t1\t1\t1\t1\n", "no groups line"),
            ("Uid:\t1\t1\t1\t1\nGroups:\t\n", "no gid line"),
            ("Gid:\t1\t1\t1\t1\nGroups:\t\n", "no uid line"),
            ("Uid:\t0\t0\t0\t0\n" + healthy, "uid line doubled before"),
            (healthy + "Uid:\t0\t0\t0\t0\n", "uid line doubled after"),
            (healthy + "Gid:\t0\t0\t0\t0\n", "gid line doubled"),
            (healthy + "Groups:\t0\n", "groups line doubled"),
            ("Uid:\t1\t1\t1\nGid:\t1\t1\t1\t1\nGroups:\t\n", "three uids"),
            ("Uid:\t1\t1\t1\t1\t1\nGid:\t1\t1\t1\t1\nGroups:\t\n", "five uids"),
            ("Uid:\nGid:\t1\t1\t1\t1\nGroups:\t\n", "no uid"),
            ("Uid:\t1\troot\t1\t1\nGid:\t1\t1\t1\t1\nGroups:\t\n", "a name for a uid"),
            ("Uid:\t1\t-1\t1\t1\nGid:\t1\t1\t1\t1\nGroups:\t\n", "a negative uid"),
            ("Uid:\t1\t4294967296\t1\t1\nGid:\t1\t1\t1\t1\nGroups:\t\n", "a uid of 33 bits"),
            ("Uid:\t1\t1\t1\t1\nGid:\t1\t0x1\t1\t1\nGroups:\t\n", "a hexadecimal gid"),
            ("Uid:\t1\t1\t1\t1\nGid:\t1\t1\t1\t1\nGroups:\t1,2\n", "groups with commas"),
        ])
    func refuses(status: String, because reason: String) {
        #expect(ProcessCredentials(status: status) == nil, "\(reason)")
    }
}
