internal import Glibc

/// Names of users and groups, through the system's name service.
package enum AccountNames {
    /// The user that this process acts as.
    package static var ownUID: UInt32 { geteuid() }

    /// The number of a group, by its name; nil when there is no such group.
    package static func group(named name: String) -> UInt32? {
        var gid: UInt32?
        _ = lookUp { buffer, size in
            var record = Glibc.group()
            var found: UnsafeMutablePointer<Glibc.group>?
            let code = getgrnam_r(name, &record, buffer, size, &found)
            gid = found?.pointee.gr_gid
            return (code, nil)
        }
        return gid
    }

    /// The login name of a user, if it has one.
    package static func user(_ uid: UInt32) -> String? {
        lookUp { buffer, size in
            var record = passwd()
            var found: UnsafeMutablePointer<passwd>?
            let code = getpwuid_r(uid, &record, buffer, size, &found)
            return (code, found?.pointee.pw_name.map { String(cString: $0) })
        }
    }

    /// The name of a group, if it has one.
    package static func group(_ gid: UInt32) -> String? {
        lookUp { buffer, size in
            var record = Glibc.group()
            var found: UnsafeMutablePointer<Glibc.group>?
            let code = getgrgid_r(gid, &record, buffer, size, &found)
            return (code, found?.pointee.gr_name.map { String(cString: $0) })
        }
    }

    /// Repeats with a larger buffer while the C library asks for one, up to a megabyte.
    private static func lookUp(
        _ attempt: (UnsafeMutablePointer<CChar>, Int) -> (code: Int32, name: String?)
    ) -> String? {
        var capacity = 4 << 10
        while capacity <= 1 << 20 {
            let result: (code: Int32, name: String?) = withUnsafeTemporaryAllocation(
                of: CChar.self, capacity: capacity
            ) { buffer in
                buffer.baseAddress.map { attempt($0, buffer.count) } ?? (code: ENOMEM, name: nil)
            }
            guard result.code == ERANGE else { return result.code == 0 ? result.name : nil }
            capacity *= 4
        }
        return nil
    }
}
