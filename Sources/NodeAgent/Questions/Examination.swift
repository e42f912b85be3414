internal import SwiftProtobuf
internal import SPIFFE
internal import AgentDomain
internal import LinuxKernel
internal import WorkloadAPIProtos
package import WorkloadAttestation

/// A process that was looked at because somebody asked, not because it connected.
package struct Examination: Sendable {
    let pid: Int32
    let evidence: Evidence
    let judgement: Judgement

    package init(pid: Int32, evidence: Evidence, judgement: Judgement) {
        (self.pid, self.evidence, self.judgement) = (pid, evidence, judgement)
    }

    /// As it is told to whoever asked.
    var message: Mintmark_V1_AttestedProcess {
        let attestation = judgement.attestation
        return .with {
            $0.pid = pid
            $0.instance = "\(evidence.instance)"
            $0.level = UInt32(attestation.level.number)
            $0.levelAdmittingJit = UInt32(attestation.levelAdmittingJIT.number)
            $0.methods = attestation.methods
            $0.selectors = attestation.selectors.sorted().map { "\($0)" }
            $0.facts = evidence.listing.map { named in
                .with {
                    $0.name = named.name
                    switch named.fact {
                    case .known(let value, let provenance):
                        $0.value = value
                        $0.provenance = provenance.rawValue
                    case .unknown(let gap): $0.unknown = "\(gap)"
                    }
                }
            }
            $0.missing = judgement.missing.map { proof in
                .with {
                    $0.level = UInt32(proof.level.number)
                    $0.fact = proof.proof.rawValue
                    $0.reason = proof.reason
                }
            }
        }
    }
}
