/// Why authorities cannot be used.
package enum AuthorityError: Error, Hashable {
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
        case .damaged(let id): "authority \(id) cannot be read back"
        case .keyStore(let error): "\(error)"
        case .store(let error): "\(error)"
        case .refused(let detail): "authority certificate is not sound: \(detail)"
        case .upstream(let error): "\(error)"
        case .notAllowed(let refusal): "\(refusal)"
        }
    }
}
