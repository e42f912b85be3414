/// What a file system says of a file or directory without opening it.
package struct FileStatus: Hashable, Sendable {
    package enum Kind: Hashable, Sendable {
        case file
        case directory
        case symbolicLink
        case other
    }

    /// Whose it is, as seen from this process.
    package enum Owner: Hashable, Sendable {
        /// The user that this process runs as, who may be root.
        case thisUser
        /// Root, while this process runs as somebody else.
        case root
        case another(UInt32)
    }

    package let kind: Kind
    /// The nine permission bits and the three above them.
    package let mode: UInt32
    package let owner: Owner

    package init(kind: Kind, mode: UInt32, owner: Owner) {
        (self.kind, self.mode, self.owner) = (kind, mode, owner)
    }
}
