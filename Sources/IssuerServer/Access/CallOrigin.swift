internal import IssuerDomain
internal import Logging

/// Who makes the call under way, for every line that is logged because of it.
struct CallOrigin: Sendable {
    @TaskLocal static var current: CallOrigin?

    let principal: Principal
    let requestID: String

    /// Adds the origin to what is logged within a call.
    static let logMetadata = Logger.MetadataProvider {
        guard let current else { return [:] }
        return ["principal": "\(current.principal)", "request.id": "\(current.requestID)"]
    }
}

extension Logger {
    /// The same logger, whose lines say whose call they come from.
    var tellingOrigin: Logger {
        var logger = self
        logger.handler.metadataProvider = CallOrigin.logMetadata
        return logger
    }
}
