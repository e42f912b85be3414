internal import Bootstrap
internal import Foundation
internal import IssuerAPIProtos
internal import Platform
internal import SPIFFE
internal import SwiftProtobuf
internal import X509

/// Reads the bundle of another trust domain from a file.
enum BundleFile {
    /// Reads and judges.
    ///
    /// - Parameters:
    ///   - path: The file, or `-` for standard input.
    ///   - trustDomain: Whose bundle it is; no file says so.
    /// - Returns: The bundle as the server takes it.
    /// - Throws: ``Failure`` when it cannot be read, or holds no authority.
    static func read(_ path: String, of trustDomain: TrustDomain) throws(Failure) -> Spire_Api_Types_Bundle {
        let bytes = try contents(path)
        do {
            let isDocument = bytes.first { !" \t\r\n".utf8.contains($0) } == UInt8(ascii: "{")
            let bundle =
                isDocument
                ? try TrustBundle(json: bytes, trustDomain: trustDomain)
                : try TrustBundle(pem: String(decoding: bytes, as: UTF8.self), trustDomain: trustDomain)
            guard !bundle.x509.authorities.isEmpty || !bundle.jwt.authorities.isEmpty else {
                throw SPIFFEError(.invalidBundle, "it holds no authority that can be used")
            }
            return try wire(bundle)
        } catch {
            let reason = (error as? SPIFFEError)?.message ?? "\(error)"
            throw Failure(
                .refused, "\(path) is not a trust bundle: \(reason)",
                hint: "write one with 'mintmark bundle show --format spiffe' on the other server")
        }
    }

    private static func contents(_ path: String) throws(Failure) -> [UInt8] {
        let limit = TrustBundle.maximumDocumentLength
        let name = path == "-" ? "/dev/stdin" : path
        do {
            if let bytes = try LocalFileSystem().read(name, limit: limit) { return bytes }
        } catch { throw Failure(.refused, "\(error)", hint: "name a file that can be read") }
        throw Failure(.refused, "there is no file \(path)", hint: "name a file that can be read")
    }

    private static func wire(_ bundle: TrustBundle) throws -> Spire_Api_Types_Bundle {
        let certificates = try bundle.x509.authorities.map { Data(try $0.derBytes()) }
        return .with {
            $0.trustDomain = bundle.trustDomain.name
            $0.x509Authorities = certificates.map { der in .with { $0.asn1 = der } }
            $0.jwtAuthorities = bundle.jwt.authorities.sorted { $0.key < $1.key }.map { keyID, key in
                .with {
                    $0.keyID = keyID
                    $0.publicKey = key.derRepresentation
                }
            }
            $0.sequenceNumber = bundle.sequence ?? 0
            $0.refreshHint = Int64(clamping: bundle.refreshHint ?? 0)
        }
    }
}
