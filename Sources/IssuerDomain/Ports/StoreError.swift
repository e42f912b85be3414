/// Why a store did not do what it was asked.
package enum StoreError: Error, Hashable {
    /// It holds what cannot be read back. Nothing was changed.
    case corrupt(detail: String)
    /// It cannot take more, such as on a full disk. Nothing was changed.
    case full(detail: String)
    /// It was written by a later version of this software.
    case tooNew(detail: String)
    /// It cannot be written where it is.
    case readOnly(detail: String)
    /// It holds the registrations of another trust domain.
    case otherTrustDomain(stored: String, asked: String)
    /// It is not the caller's to change. Nothing was changed.
    case outsideScope(detail: String)
    /// Two people must agree to it. Nothing was changed.
    case needsSecondPerson(detail: String)
    /// Anything else.
    case failed(detail: String)
}

extension StoreError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .corrupt(let detail): "database is corrupt: \(detail)"
        case .full(let detail): "database cannot grow: \(detail)"
        case .tooNew(let detail): "database was written by a later version: \(detail)"
        case .readOnly(let detail): "database is read-only: \(detail)"
        case .otherTrustDomain(let stored, let asked):
            "database belongs to trust domain '\(stored)', not '\(asked)'"
        case .outsideScope(let detail): "outside what this registrar may register: \(detail)"
        case .needsSecondPerson(let detail):
            """
            two people must agree to this: \(detail); make the change with 'entry create' or 'entry update', where a \
            second person can be asked
            """
        case .failed(let detail): "database: \(detail)"
        }
    }
}
