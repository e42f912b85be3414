/// The version of this software.
package enum Version {
    /// As `mintmark version` prints it.
    package static let text = "0.1.0"
}
