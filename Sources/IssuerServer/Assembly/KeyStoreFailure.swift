internal import Bootstrap
internal import IssuerDomain

/// Says why signing keys cannot be used, and what to do about it; for each store it is something else.
enum KeyStoreFailure {
    static func describe(_ error: KeyStoreError, configuration: IssuerConfiguration) -> Failure {
        let folder = configuration.keyFolder
        return switch (configuration.keyStore, error) {
        case (.disk, .missing), (.disk, .damaged):
            Failure(
                .refused, "\(error) in \(folder)", hint: "restore \(folder) from the same backup as the database")
        case (.disk, .encrypted):
            Failure(
                .configuration, "\(error) in \(folder)",
                hint: "set key_store.passphrase_file or key_store.key_file to what it was encrypted with")
        case (.disk(let secret), .wrongSecret):
            Failure(
                .refused, "\(error) than \(secret?.path ?? "this") in \(folder)",
                hint: "point key_store.passphrase_file or key_store.key_file at what it was encrypted with")
        case (.disk(let secret?), .failed):
            Failure(
                .cannotCreate, "\(error)",
                hint: "make \(folder) readable and writable by this user, and \(secret.path) readable")
        case (.disk, .failed), (.disk, .loginRefused):
            Failure(.cannotCreate, "\(error)", hint: "make \(folder) readable and writable by this user")
        case (.pkcs11(_, let token, _), .missing), (.pkcs11(_, let token, _), .damaged):
            Failure(
                .refused, "\(error) in token '\(token)'",
                hint: "restore the token from its backup, or start with the token that the database belongs to")
        case (.pkcs11(_, let token, let pinFile), .loginRefused):
            Failure(
                .notPermitted, "token '\(token)': \(error)",
                hint: "write the user PIN into \(pinFile); look at the token's state before trying again")
        case (.pkcs11(let module, let token, _), .failed), (.pkcs11(let module, let token, _), .encrypted),
            (.pkcs11(let module, let token, _), .wrongSecret):
            Failure(
                .refused, "token '\(token)': \(error)",
                hint: "see what 'pkcs11-tool --module \(module) --list-slots' shows to this user")
        case (.memory, _): Failure(.refused, "\(error)", hint: "start again; keys in memory are made anew")
        }
    }
}
