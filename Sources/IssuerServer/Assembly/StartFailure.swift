internal import Bootstrap
internal import IssuerDomain
internal import Platform

/// Says why an issuer did not start, and what to do about it.
enum StartFailure {
    static func describe(_ error: any Error, configuration: IssuerConfiguration) -> Failure {
        switch error {
        case let failure as Failure: failure
        case let error as StoreError: describe(error, path: configuration.databasePath)
        case AuthorityError.store(let error): describe(error, path: configuration.databasePath)
        case AuthorityError.upstream(let error): UpstreamFailure.describe(error, configuration: configuration)
        case AuthorityError.keyStore(let error): KeyStoreFailure.describe(error, configuration: configuration)
        case let error as KeyStoreError: KeyStoreFailure.describe(error, configuration: configuration)
        case let error as AuthorityError:
            Failure(.refused, "\(error)", hint: "restore a backup of the state folder")
        case let error as SecurityMarkError:
            Failure(
                .refused, "\(error)",
                hint: "restore the file from where the database is from; without it a rollback is not noticed")
        case let error as FileSystemError:
            Failure(
                .cannotCreate, "\(error)",
                hint: error.remedy ?? "make the state folder writable, or choose another one")
        default: Failure(.refused, "issuer cannot start: \(error)", hint: "run again with --log-level debug")
        }
    }

    private static func describe(_ error: StoreError, path: String) -> Failure {
        switch error {
        case .corrupt:
            Failure(
                .refused, "\(path): \(error)",
                hint: "restore a backup of the state folder, or move \(path) away to begin anew; nothing was changed")
        case .full: Failure(.cannotCreate, "\(path): \(error)", hint: "free some disk space and start again")
        case .tooNew: Failure(.refused, "\(path): \(error)", hint: "start the version of mintmark that wrote it")
        case .readOnly:
            Failure(.cannotCreate, "\(error)", hint: "make the state folder writable, or choose another one")
        case .otherTrustDomain(let stored, _):
            Failure(
                .configuration, "\(path): \(error)",
                hint: "start with trust domain '\(stored)', or choose another state folder")
        case .failed, .outsideScope, .needsSecondPerson:
            Failure(.refused, "\(path): \(error)", hint: "see the message above; nothing was changed")
        }
    }
}
