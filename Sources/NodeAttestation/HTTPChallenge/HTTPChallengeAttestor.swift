internal import Foundation
package import OutboundHTTP
internal import Platform
internal import SPIFFE

/// Lets nodes in that answer at the host name that they claim: `http_challenge`.
///
/// The server is made to call somebody, so what it calls is bounded: names that the settings allow, never an address,
/// and of the addresses they lead to none of this machine or its link; one fixed path, no redirects, a few bytes, a few
/// seconds. A node learns whether its nonce was found, and nothing else.
package struct HTTPChallengeAttestor: NodeAttestor {
    package static let type = "http_challenge"

    private static let deadline = Duration.seconds(10)
    private static let maximumBody = 64
    /// Of a host's addresses.
    private static let maximumTries = 3

    private let settings: HTTPChallengeSettings
    private let fetcher: any HTTPFetcher
    private let resolver: any HostResolver

    package init(
        _ settings: HTTPChallengeSettings, fetcher: any HTTPFetcher, resolver: any HostResolver = SystemHostResolver()
    ) {
        (self.settings, self.fetcher, self.resolver) = (settings, fetcher, resolver)
    }

    package var type: String { Self.type }
    package var canReattest: Bool { !settings.isFirstUseOnly }

    package func attest(
        _ payload: [UInt8], context: NodeAttestationContext, exchange: any ChallengeExchange
    ) async throws(NodeAttestationError) -> AttestedNode {
        let place = try HTTPChallengeMessages.place(in: payload)
        let host = try judge(place)

        let nonce = Base64URL.encode(PossessionNonces.draw())
        // What the answer says does not matter; that it came means that the node is ready to be asked.
        _ = try await exchange.answer(to: HTTPChallengeMessages.challenge(nonce: nonce))
        guard await isShown(nonce, by: host, at: place) else {
            // One and the same for whatever happened: a node must not learn what else listens in this network.
            throw .refused("the challenge was not found at \(host.text)")
        }
        guard let selector = try? Selector(kind: type, value: "hostname:\(host.text)") else {
            throw .refused("the host name does not fit into a selector")
        }
        return AttestedNode(path: "\(type)/\(host.text)", selectors: [selector], canReattest: canReattest)
    }

    /// Looks for the nonce at the addresses that were judged, so that no second answer of a name server counts.
    private func isShown(_ nonce: String, by host: HostName, at place: HTTPChallengeMessages.Place) async -> Bool {
        let addresses = await resolver.addresses(of: host.text).filter(isAsked).prefix(Self.maximumTries)
        for address in addresses {
            let request = HTTPFetch(
                url: "http://\(address.inURL):\(place.port)\(HTTPChallengeMessages.path(agentName: place.agentName))",
                headers: [(name: "Host", value: "\(host.text):\(place.port)")],
                deadline: Self.deadline / addresses.count, maximumBody: Self.maximumBody)
            if let fetched = try? await fetcher.fetch(request), fetched.status == 200, Self.isSame(fetched.body, nonce)
            {
                return true
            }
        }
        return false
    }

    private func isAsked(_ address: HostAddress) -> Bool {
        switch address.reach {
        case .host: true
        case .loopback: settings.allowsLoopback
        case .special: false
        }
    }

    private func judge(_ place: HTTPChallengeMessages.Place) throws(NodeAttestationError) -> HostName {
        guard HTTPChallengeMessages.isAgentName(place.agentName) else {
            throw .malformed("agent name must be a letter, then letters, digits and dashes, 32 at most")
        }
        if let required = settings.requiredPort {
            guard place.port == required else { throw .refused("port \(place.port) is not asked by this server") }
        } else if !settings.allowsHighPorts {
            guard place.port < HTTPChallengeSettings.firstHighPort else {
                throw .refused("port \(place.port) is not asked by this server; only those below 1024 are")
            }
        }
        guard let host = HostName(place.hostname) else {
            throw .refused("hostname is not a DNS name of another host")
        }
        guard settings.patterns.contains(where: { $0.matches(host) }) else {
            throw .refused("hostname is not one that this server asks")
        }
        return host
    }

    private static func isSame(_ body: [UInt8], _ nonce: String) -> Bool {
        String(decoding: body, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines) == nonce
    }
}
