internal import Crypto
internal import CryptoExtras
internal import Foundation

extension JWTVerificationKey {
    /// The key's own members of a JWK (RFC 7518 §6): `kty`, then `crv`, `x`, `y` or `n`, `e`.
    package var jwkMembers: [(String, JSONValue)] {
        switch material {
        case .p256(let key): Self.ellipticMembers(curve: "P-256", point: key.rawRepresentation)
        case .p384(let key): Self.ellipticMembers(curve: "P-384", point: key.rawRepresentation)
        case .p521(let key): Self.ellipticMembers(curve: "P-521", point: key.rawRepresentation)
        case .rsa(let key): Self.rsaMembers(of: key)
        }
    }

    /// Reads the key's own members of a JWK.
    ///
    /// - Parameter jwk: The whole JWK.
    /// - Throws: ``SPIFFEError`` with code `invalidBundle` when the key is of no permitted kind, or malformed.
    package init(jwk: JSONObject) throws(SPIFFEError) {
        switch jwk["kty"]?.string {
        case "EC": try self.init(ellipticJWK: jwk)
        case "RSA":
            guard let modulus = Self.bytes(jwk["n"]), let exponent = Self.bytes(jwk["e"]),
                let key = try? _RSA.Signing.PublicKey(n: modulus, e: exponent)
            else { throw SPIFFEError(.invalidBundle, "RSA JWK is malformed") }
            try self.init(rsa: key)
        default: throw SPIFFEError(.invalidBundle, "JWK is of no permitted key type")
        }
    }

    private init(ellipticJWK jwk: JSONObject) throws(SPIFFEError) {
        guard let x = Self.bytes(jwk["x"]), let y = Self.bytes(jwk["y"]) else {
            throw SPIFFEError(.invalidBundle, "EC JWK is malformed")
        }
        let point = x + y
        do {
            switch (jwk["crv"]?.string, x.count, y.count) {
            case ("P-256", 32, 32):
                let key = try P256.Signing.PublicKey(rawRepresentation: point)
                self.init(.p256(key), der: key.derRepresentation)
            case ("P-384", 48, 48):
                let key = try P384.Signing.PublicKey(rawRepresentation: point)
                self.init(.p384(key), der: key.derRepresentation)
            case ("P-521", 66, 66):
                let key = try P521.Signing.PublicKey(rawRepresentation: point)
                self.init(.p521(key), der: key.derRepresentation)
            default:
                throw SPIFFEError(.invalidBundle, "EC JWK is of no permitted curve")
            }
        } catch let error as SPIFFEError {
            throw error
        } catch {
            throw SPIFFEError(.invalidBundle, "EC JWK is not a point on its curve")
        }
    }

    private static func ellipticMembers(curve: String, point: Data) -> [(String, JSONValue)] {
        let half = point.count / 2
        return [
            ("kty", .string("EC")), ("crv", .string(curve)),
            ("x", .string(Base64URL.encode(point.prefix(half)))),
            ("y", .string(Base64URL.encode(point.suffix(half)))),
        ]
    }

    private static func rsaMembers(of key: _RSA.Signing.PublicKey) -> [(String, JSONValue)] {
        guard let primitives = try? key.getKeyPrimitives() else { return [("kty", .string("RSA"))] }
        return [
            ("kty", .string("RSA")),
            ("n", .string(Base64URL.encode(primitives.modulus.drop { $0 == 0 }))),
            ("e", .string(Base64URL.encode(primitives.publicExponent.drop { $0 == 0 }))),
        ]
    }

    private static func bytes(_ value: JSONValue?) -> [UInt8]? {
        guard let text = value?.string else { return nil }
        return Base64URL.decode(text.utf8)
    }
}
