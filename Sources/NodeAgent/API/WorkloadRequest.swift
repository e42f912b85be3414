package import GRPCWire
package import SPIFFE
package import AgentDomain
internal import SwiftProtobuf
internal import WorkloadAPIProtos

/// A request to the SPIFFE Workload API, read and judged before anything is done for it.
package enum WorkloadRequest: Sendable {
    case x509SVID
    case x509Bundles
    /// Tokens for an audience: of one identity, or of all when nil.
    case jwtSVID(audience: [String], id: SPIFFEID?)
    case jwtBundles
    case validateJWTSVID(token: String, audience: String)

    /// The most audiences of one token, and the longest of them in bytes.
    private static let audienceLimits = (count: 64, bytes: 2048)

    /// Reads a request.
    ///
    /// - Parameters:
    ///   - method: Which call it is.
    ///   - bytes: The message.
    /// - Throws: `CallStatus` InvalidArgument, and Unimplemented for what is not served.
    package init(_ method: WorkloadMethod, bytes: [UInt8]) throws(CallStatus) {
        switch method {
        case .fetchX509SVID:
            _ = try Self.decode(WorkloadX509SVIDRequest.self, bytes)
            self = .x509SVID
        case .fetchX509Bundles:
            _ = try Self.decode(WorkloadX509BundlesRequest.self, bytes)
            self = .x509Bundles
        case .fetchJWTBundles:
            _ = try Self.decode(WorkloadJWTBundlesRequest.self, bytes)
            self = .jwtBundles
        case .fetchJWTSVID:
            let request = try Self.decode(WorkloadJWTSVIDRequest.self, bytes)
            guard !request.audience.isEmpty, request.audience.allSatisfy({ !$0.isEmpty }) else {
                throw CallStatus(.invalidArgument, "audience must be specified")
            }
            guard request.audience.count <= Self.audienceLimits.count,
                request.audience.allSatisfy({ $0.utf8.count <= Self.audienceLimits.bytes })
            else { throw CallStatus(.invalidArgument, "audience is too long") }
            self = .jwtSVID(audience: request.audience, id: try Self.id(request.spiffeID))
        case .validateJWTSVID:
            let request = try Self.decode(WorkloadValidateJWTSVIDRequest.self, bytes)
            guard !request.audience.isEmpty else { throw CallStatus(.invalidArgument, "audience must be specified") }
            guard !request.svid.isEmpty else { throw CallStatus(.invalidArgument, "svid must be specified") }
            self = .validateJWTSVID(token: request.svid, audience: request.audience)
        case .fetchWITSVID, .fetchWITBundles:
            throw CallStatus(.unimplemented, "the WIT-SVID profile is not supported")
        }
    }

    /// The entries that a request is about, of those that match.
    package func choice(among entries: [AuthorizedEntry]) -> [AuthorizedEntry] {
        switch self {
        case .jwtSVID(_, let id?): entries.filter { $0.spiffeID == id }
        case .jwtSVID(_, nil), .x509SVID, .x509Bundles, .jwtBundles, .validateJWTSVID: entries
        }
    }

    private static func id(_ text: String) throws(CallStatus) -> SPIFFEID? {
        guard !text.isEmpty else { return nil }
        do { return try SPIFFEID(text) } catch {
            throw CallStatus(.invalidArgument, "invalid requested SPIFFE ID: \(error)")
        }
    }

    private static func decode<Message: SwiftProtobuf.Message>(
        _ type: Message.Type, _ bytes: [UInt8]
    ) throws(CallStatus) -> Message {
        do { return try Message(serializedBytes: bytes) } catch {
            throw CallStatus(.invalidArgument, "request is not a well-formed message")
        }
    }
}

/// The calls of the SPIFFE Workload API.
package enum WorkloadMethod: String, CaseIterable, Sendable {
    case fetchX509SVID = "FetchX509SVID"
    case fetchX509Bundles = "FetchX509Bundles"
    case fetchJWTSVID = "FetchJWTSVID"
    case fetchJWTBundles = "FetchJWTBundles"
    case validateJWTSVID = "ValidateJWTSVID"
    case fetchWITSVID = "FetchWITSVID"
    case fetchWITBundles = "FetchWITBundles"

    package var path: String { "/SpiffeWorkloadAPI/\(rawValue)" }

    /// Whether the answer goes on, with a message whenever it changes.
    package var isStreaming: Bool {
        switch self {
        case .fetchX509SVID, .fetchX509Bundles, .fetchJWTBundles, .fetchWITSVID, .fetchWITBundles: true
        case .fetchJWTSVID, .validateJWTSVID: false
        }
    }
}
