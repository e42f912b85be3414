import TestSupport
import Testing
import WorkloadIdentity

@Suite("Backoff")
struct BackoffTests {
    @Test("WLEP-23: each pause is between half and all of one that doubles, up to the longest", arguments: 1...20)
    func bounds(seed: UInt64) {
        var backoff = Backoff(initial: .milliseconds(200), maximum: .seconds(10))
        var entropy = SeededEntropy(seed)
        for full in [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10, 10, 10].map({ Duration.seconds($0) }) {
            let pause = backoff.next(using: &entropy)
            #expect(full / 2 <= pause && pause <= full)
        }
        #expect(Duration.seconds(5) <= backoff.slowest(using: &entropy))
        #expect(backoff.slowest(using: &entropy) <= .seconds(10))
    }

    @Test("clients of one agent do not come back at the same instant")
    func jitter() {
        let pauses = (1...200).map { (seed: UInt64) in
            var (backoff, entropy) = (Backoff(), SeededEntropy(seed))
            return backoff.next(using: &entropy)
        }
        #expect(Set(pauses).count > 190)
        let (least, most) = (pauses.min() ?? .zero, pauses.max() ?? .zero)
        #expect(most - least > .milliseconds(80), "the whole half is used")
    }

    @Test("starts again from the first pause")
    func reset() {
        var (backoff, entropy) = (Backoff(), SeededEntropy())
        for _ in 0..<10 { _ = backoff.next(using: &entropy) }
        backoff.reset()
        #expect(backoff.next(using: &entropy) <= .milliseconds(200))
    }

    @Test("ten thousand attempts do not overflow")
    func endurance() {
        var (backoff, entropy) = (Backoff(initial: .seconds(1), maximum: .seconds(60)), SeededEntropy())
        for _ in 0..<10_000 { #expect(backoff.next(using: &entropy) <= .seconds(60)) }
    }
}
