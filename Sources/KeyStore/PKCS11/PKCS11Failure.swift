internal import CPKCS11
internal import IssuerDomain

/// Why a call into a token did not work.
enum PKCS11Failure: Error, Hashable {
    /// A function of the module returned a code that is not success.
    case returned(code: CK_RV, function: String)
    case store(KeyStoreError)

    /// Whether sessions, login or handles are gone, as after a token was pulled, reset or restarted; then all of it is set
    /// up afresh, once.
    var meansReset: Bool {
        guard case .returned(let code, _) = self else { return false }
        switch code {
        case CKR_SLOT_ID_INVALID, CKR_DEVICE_ERROR, CKR_DEVICE_REMOVED, CKR_KEY_HANDLE_INVALID,
            CKR_OBJECT_HANDLE_INVALID, CKR_SESSION_CLOSED, CKR_SESSION_HANDLE_INVALID, CKR_TOKEN_NOT_PRESENT,
            CKR_TOKEN_NOT_RECOGNIZED, CKR_USER_NOT_LOGGED_IN:
            return true
        default: return false
        }
    }

    /// In the words of the port.
    var keyStoreError: KeyStoreError {
        switch self {
        case .store(let error): error
        case .returned(let code, let function):
            switch code {
            case CKR_PIN_INCORRECT, CKR_PIN_INVALID, CKR_PIN_LEN_RANGE: .loginRefused(detail: "the PIN is wrong")
            case CKR_PIN_EXPIRED: .loginRefused(detail: "the PIN has expired")
            case CKR_PIN_LOCKED: .loginRefused(detail: "the PIN is locked after too many wrong ones")
            case CKR_USER_PIN_NOT_INITIALIZED: .loginRefused(detail: "the token has no user PIN yet")
            case CKR_SESSION_COUNT: .failed(detail: "the token has no session left")
            case CKR_TOKEN_NOT_PRESENT, CKR_TOKEN_NOT_RECOGNIZED, CKR_DEVICE_REMOVED, CKR_SLOT_ID_INVALID:
                .failed(detail: "the token is gone")
            case CKR_MECHANISM_INVALID, CKR_FUNCTION_NOT_SUPPORTED:
                .failed(detail: "the token cannot do this (\(function))")
            default: .failed(detail: "\(function) of the token failed with code 0x\(String(code, radix: 16))")
            }
        }
    }
}
