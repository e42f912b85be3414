package import Foundation

/// Why authorities cannot be used.
package enum AuthorityError: Error, Hashable {
    /// The clock is earlier than the start of the active authority: signing now would make SVIDs that nobody accepts.
    case clockBeforeAuthority(now: Date, start: Date)
    /// A record cannot be read back.
    case damaged(id: String)
    case keyStore(KeyStoreError)
    case store(StoreError)
    /// The signer refused its own certificate; a bug or a damaged key.
    case refused(detail: String)
    case upstream(UpstreamError)
    /// What was asked may not be done.
    case notAllowed(AuthorityRefusal)
}

extension AuthorityError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .clockBeforeAuthority(let now, let start):
            "the clock says \(now.formatted(.iso8601)), which is before the signing authority starts at "
                + "\(start.formatted(.iso8601))"
        case .damaged(let id): "authority \(id) cannot be read back"
        case .keyStore(let error): "\(error)"
        case .store(let error): "\(error)"
        case .refused(let detail): "authority certificate is not sound: \(detail)"
        case .upstream(let error): "\(error)"
        case .notAllowed(let refusal): "\(refusal)"
        }
    }
}
