internal import Foundation
internal import SPIFFE

extension RevocationList {
    /// Reads the lists of one message.
    ///
    /// A list of a kind that is not understood is left out, since it must not cost its receiver every update; what is no
    /// list at all makes the message unreadable.
    static func understood(in lists: [Data]) throws(SPIFFEError) -> [RevocationList] {
        var understood: [RevocationList] = []
        for list in lists {
            do throws(SPIFFEError) {
                understood.append(try parse(der: list))
            } catch {
                guard error.code == .unsupportedRevocationList else { throw error }
            }
        }
        return understood
    }
}
