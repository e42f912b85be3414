internal import Logging
internal import SPIFFE
internal import WorkloadIdentity
internal import X509

extension TLSCore {
    /// TLS for one source that tells whom it refused, since the peer learns nothing but that it was.
    init(
        source: X509Source, authorizing authorizer: PeerAuthorizer, logger: Logger, refusalLevel: Logger.Level
    ) {
        self.init {
            do { return try source.material() } catch {
                logger.warning("no identity to present", metadata: ["error": "\(error)"])
                throw error
            }
        } verify: { presented throws(PeerRefusal) in
            do throws(PeerRefusal) { return try source.verify(presented, authorizing: authorizer) } catch {
                logger.log(
                    level: refusalLevel, "peer refused", metadata: ["code": "\(error.code)", "error": "\(error)"])
                throw error
            }
        }
    }
}
