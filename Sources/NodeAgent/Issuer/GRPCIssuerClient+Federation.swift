internal import AgentDomain
internal import GRPCCore
internal import IssuerAPIProtos
internal import Logging
internal import SPIFFE
internal import SwiftProtobuf

extension GRPCIssuerClient {
    /// How many bundles are asked for at once.
    private static var workers: Int { 10 }

    /// The bundles of other trust domains.
    ///
    /// A domain whose bundle the issuer does not have is left out. One whose bundle cannot be had now keeps the one that is
    /// held: a failing call takes no trust away, only the issuer's word does.
    ///
    /// - Parameters:
    ///   - domains: Whose bundles.
    ///   - held: What there is already.
    /// - Returns: The bundles that are to be believed from now on.
    /// - Throws: ``IssuerClientError/agentRefused(detail:)``.
    func federatedBundles(
        of domains: Set<TrustDomain>, held: [TrustDomain: TrustBundle]
    ) async throws(IssuerClientError) -> [TrustDomain: TrustBundle] {
        guard !domains.isEmpty else { return [:] }
        typealias Answer = (domain: TrustDomain, result: Result<TrustBundle?, IssuerClientError>)
        let answers = await withTaskGroup(of: Answer.self) { group in
            var rest = domains.sorted()[...]
            var answers: [Answer] = []
            for domain in rest.prefix(Self.workers) {
                group.addTask { (domain, await self.federatedBundle(of: domain)) }
            }
            rest = rest.dropFirst(Self.workers)
            while let answer = await group.next() {
                answers.append(answer)
                guard let domain = rest.popFirst() else { continue }
                group.addTask { (domain, await self.federatedBundle(of: domain)) }
            }
            return answers
        }
        var bundles: [TrustDomain: TrustBundle] = [:]
        for (domain, result) in answers {
            switch result {
            case .success(let bundle): bundles[domain] = bundle
            case .failure(.agentRefused(let detail)): throw .agentRefused(detail: detail)
            case .failure(let error):
                logger.warning(
                    "federated bundle not fetched", metadata: ["trust_domain": "\(domain)", "error": "\(error)"])
                bundles[domain] = held[domain]
            }
        }
        return bundles
    }

    /// One bundle; nil when the issuer says that it has none.
    private func federatedBundle(of domain: TrustDomain) async -> Result<TrustBundle?, IssuerClientError> {
        do throws(IssuerClientError) {
            let wire = try await call { [options] client -> Spire_Api_Types_Bundle? in
                do {
                    return try await Spire_Api_Server_Bundle_V1_Bundle.Client(wrapping: client)
                        .getFederatedBundle(.with { $0.trustDomain = domain.name }, options: options)
                } catch let error as RPCError where error.code == .notFound { return nil }
            }
            guard let wire else { return .success(nil) }
            do {
                return .success(try TrustBundle(wire: wire, expected: domain, mayLackX509: true))
            } catch { throw .badAnswer(detail: "\(error)") }
        } catch { return .failure(error) }
    }
}
