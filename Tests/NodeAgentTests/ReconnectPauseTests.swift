import NodeAgent
import TestSupport
import Testing

@Suite("Pauses before asking again")
struct ReconnectPauseTests {
    @Test("Each is drawn between half and all of what it may be, which doubles up to a limit")
    func draws() {
        var entropy = SeededEntropy(1)
        var (pause, sums) = (ReconnectPause(), Set<Duration>())
        for _ in 0..<50 {
            pause.reset()
            var sum = Duration.zero
            for longest in [200, 400, 800, 1600, 3200, 5000, 5000] {
                let drawn = pause.take(using: &entropy)
                #expect(drawn >= .milliseconds(longest) / 2 && drawn <= .milliseconds(longest))
                sum += drawn
            }
            sums.insert(sum)
        }
        #expect(sums.count == 50, "no two agents come back in step")
    }
}
