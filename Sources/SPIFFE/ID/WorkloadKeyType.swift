/// The kind of key that a workload's X.509-SVID is for.
///
/// Node agents make the keys; the issuer signs for no other where an entry names one.
package enum WorkloadKeyType: String, Hashable, Sendable, CaseIterable {
    case ecP256 = "ec-p256"
    case ecP384 = "ec-p384"
    case rsa2048 = "rsa-2048"
}
