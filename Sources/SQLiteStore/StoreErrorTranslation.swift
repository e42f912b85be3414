internal import GRDB
internal import IssuerDomain

/// Turns what SQLite says into what the issuer understands.
enum StoreErrorTranslation {
    /// Never includes SQL or arguments: they may hold what an admin keeps private.
    static func translate(_ error: any Error) -> StoreError {
        if let error = error as? StoreError { return error }
        guard let error = error as? DatabaseError else { return .failed(detail: "\(type(of: error))") }
        let detail = error.message ?? "\(error.resultCode)"
        return switch error.resultCode {
        case .SQLITE_CORRUPT, .SQLITE_NOTADB: .corrupt(detail: detail)
        case .SQLITE_FULL: .full(detail: detail)
        case .SQLITE_READONLY, .SQLITE_CANTOPEN, .SQLITE_PERM: .readOnly(detail: detail)
        default: .failed(detail: detail)
        }
    }
}
