internal import Foundation
internal import GRPCCore
internal import IssuerAPIProtos
internal import IssuerDomain
internal import Platform
internal import SPIFFE
internal import SwiftASN1
internal import SwiftProtobuf
internal import X509

// Between the wire's types and the domain's. Reading is where hostile input is judged.

extension SPIFFEID {
    /// Reads an ID from the wire.
    ///
    /// - Parameters:
    ///   - wire: Trust domain and path, as the peer sent them.
    ///   - name: What the field is called, for the error.
    /// - Throws: `RPCError` with code `invalidArgument`.
    init(wire: Spire_Api_Types_SPIFFEID, named name: String) throws(RPCError) {
        do {
            try self.init(trustDomain: TrustDomain(wire.trustDomain), path: wire.path)
        } catch {
            throw RPCError(code: .invalidArgument, message: "\(name): \(error.message)")
        }
    }

    var wire: Spire_Api_Types_SPIFFEID {
        .with {
            $0.trustDomain = trustDomain.name
            $0.path = path
        }
    }
}

extension Selector {
    init(wire: Spire_Api_Types_Selector) throws(RPCError) {
        do { try self.init(kind: wire.type, value: wire.value) } catch {
            throw RPCError(code: .invalidArgument, message: "\(error)")
        }
    }

    var wire: Spire_Api_Types_Selector {
        .with {
            $0.type = kind
            $0.value = value
        }
    }
}

extension EntryDraft {
    init(wire: Spire_Api_Types_Entry) throws(RPCError) {
        self.init(id: wire.id.isEmpty ? nil : wire.id, contents: try EntryContents(wire: wire))
    }
}

extension EntryContents {
    init(wire: Spire_Api_Types_Entry) throws(RPCError) {
        guard wire.hasSpiffeID else { throw RPCError(code: .invalidArgument, message: "SPIFFE ID is missing") }
        guard wire.hasParentID else { throw RPCError(code: .invalidArgument, message: "parent ID is missing") }
        var selectors: [Selector] = []
        for selector in wire.selectors { selectors.append(try Selector(wire: selector)) }
        self.init(
            spiffeID: try SPIFFEID(wire: wire.spiffeID, named: "SPIFFE ID"),
            parentID: try SPIFFEID(wire: wire.parentID, named: "parent ID"), selectors: selectors)
        x509TTL = wire.x509SvidTtl == 0 ? nil : .seconds(wire.x509SvidTtl)
        jwtTTL = wire.jwtSvidTtl == 0 ? nil : .seconds(wire.jwtSvidTtl)
        federatesWith = try Self.trustDomains(wire.federatesWith)
        isAdmin = wire.admin
        isDownstream = wire.downstream
        expiresAt = wire.expiresAt == 0 ? nil : Date(timeIntervalSince1970: TimeInterval(wire.expiresAt))
        dnsNames = wire.dnsNames
        hint = wire.hint
        storesSVID = wire.storeSvid
        prefetchesX509 = !wire.additionalAttributes.disableX509SvidPrefetch
        includesJTI = wire.additionalAttributes.jwtSvidIncludeJti
    }

    /// Takes over the fields that a mask names.
    mutating func merge(_ other: EntryContents, mask: Spire_Api_Types_EntryMask) {
        if mask.spiffeID { spiffeID = other.spiffeID }
        if mask.parentID { parentID = other.parentID }
        if mask.selectors { selectors = other.selectors }
        if mask.x509SvidTtl { x509TTL = other.x509TTL }
        if mask.jwtSvidTtl { jwtTTL = other.jwtTTL }
        if mask.federatesWith { federatesWith = other.federatesWith }
        if mask.admin { isAdmin = other.isAdmin }
        if mask.downstream { isDownstream = other.isDownstream }
        if mask.expiresAt { expiresAt = other.expiresAt }
        if mask.dnsNames { dnsNames = other.dnsNames }
        if mask.hint { hint = other.hint }
        if mask.storeSvid { storesSVID = other.storesSVID }
        if mask.additionalAttributes {
            prefetchesX509 = other.prefetchesX509
            includesJTI = other.includesJTI
        }
    }

    private static func trustDomains(_ names: [String]) throws(RPCError) -> [TrustDomain] {
        var domains: [TrustDomain] = []
        for name in names {
            do { domains.append(try TrustDomain(wire: name)) } catch {
                throw RPCError(code: .invalidArgument, message: "federates with: \(error.message)")
            }
        }
        return domains
    }
}

extension Spire_Api_Types_EntryMask {
    /// Every field.
    static let all = Spire_Api_Types_EntryMask.with {
        $0.spiffeID = true
        $0.parentID = true
        $0.selectors = true
        $0.x509SvidTtl = true
        $0.federatesWith = true
        $0.admin = true
        $0.downstream = true
        $0.expiresAt = true
        $0.dnsNames = true
        $0.revisionNumber = true
        $0.storeSvid = true
        $0.jwtSvidTtl = true
        $0.hint = true
        $0.createdAt = true
        $0.additionalAttributes = true
    }
}

extension Spire_Api_Types_Entry {
    /// Writes an entry, with the fields that a mask names; the ID always.
    init(_ entry: Entry, mask: Spire_Api_Types_EntryMask) {
        self.init()
        let contents = entry.contents
        id = entry.id
        if mask.spiffeID { spiffeID = contents.spiffeID.wire }
        if mask.parentID { parentID = contents.parentID.wire }
        if mask.selectors { selectors = contents.selectors.map(\.wire) }
        if mask.x509SvidTtl { x509SvidTtl = contents.x509TTL.map { Int32(clamping: $0.wholeSeconds) } ?? 0 }
        if mask.jwtSvidTtl { jwtSvidTtl = contents.jwtTTL.map { Int32(clamping: $0.wholeSeconds) } ?? 0 }
        if mask.federatesWith { federatesWith = contents.federatesWith.map(\.name) }
        if mask.admin { admin = contents.isAdmin }
        if mask.downstream { downstream = contents.isDownstream }
        if mask.expiresAt { expiresAt = contents.expiresAt.map { $0.unixSeconds } ?? 0 }
        if mask.dnsNames { dnsNames = contents.dnsNames }
        if mask.revisionNumber { revisionNumber = entry.revision }
        if mask.storeSvid { storeSvid = contents.storesSVID }
        if mask.hint { hint = contents.hint }
        if mask.createdAt { createdAt = entry.createdAt.unixSeconds }
        if mask.additionalAttributes, !contents.prefetchesX509 || contents.includesJTI {
            additionalAttributes = .with {
                $0.disableX509SvidPrefetch = !contents.prefetchesX509
                $0.jwtSvidIncludeJti = contents.includesJTI
            }
        }
    }
}

extension EntryFilter {
    init(wire: Spire_Api_Server_Entry_V1_ListEntriesRequest.Filter) throws(RPCError) {
        self.init()
        if wire.hasBySpiffeID { spiffeID = try SPIFFEID(wire: wire.bySpiffeID, named: "SPIFFE ID") }
        if wire.hasByParentID { parentID = try SPIFFEID(wire: wire.byParentID, named: "parent ID") }
        if wire.hasBySelectors {
            var wanted: [Selector] = []
            for selector in wire.bySelectors.selectors { wanted.append(try Selector(wire: selector)) }
            guard !wanted.isEmpty else { throw RPCError(code: .invalidArgument, message: "no selector to match") }
            selectors = SetMatch(wanted, mode: try .init(wire: wire.bySelectors.match.rawValue))
        }
        if wire.hasByFederatesWith {
            var wanted: [TrustDomain] = []
            for name in wire.byFederatesWith.trustDomains {
                do { wanted.append(try TrustDomain(wire: name)) } catch {
                    throw RPCError(code: .invalidArgument, message: "federates with: \(error.message)")
                }
            }
            guard !wanted.isEmpty else { throw RPCError(code: .invalidArgument, message: "no trust domain to match") }
            federatesWith = SetMatch(wanted, mode: try .init(wire: wire.byFederatesWith.match.rawValue))
        }
        if wire.hasByHint { hint = wire.byHint.value }
        if wire.hasByDownstream { isDownstream = wire.byDownstream.value }
    }
}

extension SetMatch.Mode {
    /// Both match messages number their modes alike.
    init(wire: Int) throws(RPCError) {
        switch wire {
        case 0: self = .exact
        case 1: self = .subset
        case 2: self = .superset
        case 3: self = .any
        default: throw RPCError(code: .invalidArgument, message: "unknown way to match")
        }
    }
}

extension Spire_Api_Types_X509SVID {
    init(_ svid: IssuedX509SVID, hint: String = "") {
        self.init()
        id = svid.id.wire
        certChain = svid.chain.map { Data($0) }
        expiresAt = svid.lifetime.validity.upperBound.unixSeconds
        self.hint = hint
    }
}

extension Spire_Api_Types_JWTSVID {
    init(_ svid: IssuedJWTSVID, hint: String = "") {
        self.init()
        id = svid.id.wire
        token = svid.token.exposed
        issuedAt = svid.issuedAt.unixSeconds
        expiresAt = svid.lifetime.validity.upperBound.unixSeconds
        self.hint = hint
    }
}

extension Spire_Api_Types_Agent {
    init(_ agent: AttestedAgent, mask: Spire_Api_Types_AgentMask?) {
        self.init()
        id = agent.id.wire
        if mask?.attestationType ?? true { attestationType = agent.attestationType }
        if mask?.x509SvidSerialNumber ?? true {
            // A banned agent has no SVID that counts; tools go by the empty number.
            x509SvidSerialNumber = agent.isBanned ? "" : SerialNumber.decimal(hex: agent.serial) ?? agent.serial
        }
        if mask?.x509SvidExpiresAt ?? true { x509SvidExpiresAt = agent.expiresAt.unixSeconds }
        if mask?.selectors ?? true { selectors = agent.selectors.map(\.wire) }
        if mask?.banned ?? true { banned = agent.isBanned }
        if mask?.canReattest ?? true { canReattest = agent.canReattest }
        if mask?.agentVersion ?? true { agentVersion = agent.version }
    }
}

extension Spire_Api_Types_Bundle {
    /// Writes a bundle; without a mask, everything.
    init(_ snapshot: AuthorityKeeper.Snapshot, mask: Spire_Api_Types_BundleMask?) throws {
        self.init()
        let bundle = snapshot.bundle
        trustDomain = bundle.trustDomain.name
        if mask?.x509Authorities ?? true {
            x509Authorities = try bundle.x509.authorities.map { certificate in
                let der = try certificate.derBytes()
                return .with {
                    $0.asn1 = Data(der)
                    $0.tainted = snapshot.tainted.certificates.contains(der)
                }
            }
        }
        if mask?.jwtAuthorities ?? true {
            let ends = Dictionary(
                snapshot.records.filter { $0.kind == .jwt && $0.notAfter != .distantFuture }
                    .map { ($0.id, $0.notAfter) }, uniquingKeysWith: { one, _ in one })
            jwtAuthorities = bundle.jwt.authorities.sorted { $0.key < $1.key }.map { keyID, key in
                .with {
                    $0.keyID = keyID
                    $0.publicKey = key.derRepresentation
                    $0.expiresAt = ends[keyID].map { $0.unixSeconds } ?? 0
                    $0.tainted = snapshot.tainted.keyIDs.contains(keyID)
                }
            }
        }
        if mask?.refreshHint ?? true { refreshHint = Int64(bundle.refreshHint ?? 0) }
        if mask?.sequenceNumber ?? true { sequenceNumber = bundle.sequence ?? 0 }
    }
}
