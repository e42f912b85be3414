/// The names that a service answers to, for judging the audience of tokens; never none, and none of them empty.
///
/// A service makes one when it starts, so that a name left out of its configuration stops it there, rather than letting
/// every token pass or refusing them one by one (JWT-22).
public struct JWTAudience: Hashable, Sendable {
    /// The names, in the order given.
    public let names: [String]

    /// Creates an audience of one name.
    ///
    /// - Parameter name: What callers put into `aud`, such as `ledger.example.org`.
    /// - Throws: ``SPIFFEError`` with code `audienceMismatch` when the name is empty.
    public init(_ name: String) throws(SPIFFEError) { try self.init(anyOf: [name]) }

    /// Creates an audience of several names; a token for any of them is for this service.
    ///
    /// - Parameter names: What callers put into `aud`.
    /// - Throws: ``SPIFFEError`` with code `audienceMismatch` when there is no name, or an empty one.
    public init(anyOf names: some Sequence<String>) throws(SPIFFEError) {
        let names = Array(names)
        guard !names.isEmpty, names.allSatisfy({ !$0.isEmpty }) else {
            throw SPIFFEError(.audienceMismatch, "no audience to check the token against")
        }
        self.names = names
    }

    /// Whether one of the names is among a token's, byte for byte (RFC 7519 §2).
    func matches(_ audience: [String]) -> Bool {
        audience.contains { stated in names.contains { $0.utf8.elementsEqual(stated.utf8) } }
    }
}
