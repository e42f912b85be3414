/// RFC 9113 §7.
package enum HTTP2ErrorCode: UInt32, Sendable {
    case noError = 0x0
    case protocolError = 0x1
    case internalError = 0x2
    case flowControlError = 0x3
    case settingsTimeout = 0x4
    case streamClosed = 0x5
    case frameSizeError = 0x6
    case refusedStream = 0x7
    case cancel = 0x8
    case compressionError = 0x9
    case connectError = 0xA
    case enhanceYourCalm = 0xB
}

/// Why a whole connection has to end: what its bytes broke.
package struct HTTP2Fault: Error, Hashable, Sendable {
    package let code: HTTP2ErrorCode
    /// A constant text for the log.
    package let rule: String

    init(_ code: HTTP2ErrorCode, _ rule: String) { (self.code, self.rule) = (code, rule) }
}
