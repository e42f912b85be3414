#if Hummingbird
    internal import HTTPTypes
    internal import HummingbirdCore
    internal import NIOCore
    internal import WorkloadIdentity

    extension PeerRefusal {
        /// The answer to a request: the code and nothing more.
        ///
        /// - Parameter challenge: Whether a bearer token would be accepted. Without, a 401 would have nothing to ask for
        ///   (RFC 9110 §15.5.2), so it is 403.
        /// - Returns: The response.
        func response(challenge: Bool) -> Response {
            var headers: HTTPFields = [.contentType: "text/plain; charset=utf-8", .cacheControl: "no-store"]
            let status: HTTPResponse.Status
            switch code {
            case .noIdentity where challenge:
                status = .unauthorized
                headers[.wwwAuthenticate] = "Bearer"
            case .invalidIdentity where challenge:
                status = .unauthorized
                headers[.wwwAuthenticate] = #"Bearer error="invalid_token""#
            case .unavailable: status = .serviceUnavailable
            default: status = .forbidden
            }
            return Response(
                status: status, headers: headers, body: ResponseBody(byteBuffer: ByteBuffer(string: "\(code)\n")))
        }
    }
#endif
