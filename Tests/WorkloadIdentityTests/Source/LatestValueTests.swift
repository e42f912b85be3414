import Testing
import WorkloadIdentity

@Suite("The latest value", .timeLimit(.minutes(2)))
struct LatestValueTests {
    @Test("who waits sees the newest, and nobody misses the last: many writers, many readers")
    func stress() async {
        let latest = LatestValue<Int>()
        let (writers, readers, writes) = (8, 32, 500)
        await withTaskGroup(of: Bool.self) { group in
            for _ in 0..<readers {
                group.addTask {
                    var seen: UInt64 = 0
                    while seen < UInt64(writers * writes) {
                        let snapshot = await latest.change(after: seen)
                        guard snapshot.version > seen else { return false }
                        seen = snapshot.version
                    }
                    return true
                }
            }
            for writer in 0..<writers {
                group.addTask {
                    for number in 0..<writes {
                        latest.set(writer * writes + number)
                        if number.isMultiple(of: 16) { await Task.yield() }
                    }
                    return true
                }
            }
            for await isWell in group { #expect(isWell) }
        }
        #expect(latest.snapshot.version == UInt64(writers * writes))
    }

    @Test("a cancelled wait ends, and leaves the others waiting")
    func cancellation() async {
        let latest = LatestValue<Int>()
        async let other = latest.change(after: 0)
        await withTaskGroup(of: LatestValue<Int>.Snapshot.self) { group in
            for _ in 0..<100 { group.addTask { await latest.change(after: 0) } }
            group.cancelAll()
            for await snapshot in group { #expect(snapshot.value == nil && !snapshot.isClosed) }
        }
        latest.set(7)
        #expect(await other.value == 7)
    }

    @Test("waits that are cancelled while values arrive all end")
    func race() async {
        for round in 0..<200 {
            let latest = LatestValue<Int>()
            await withTaskGroup(of: Void.self) { group in
                for _ in 0..<4 { group.addTask { _ = await latest.change(after: 0) } }
                group.addTask { if round.isMultiple(of: 2) { latest.set(1) } else { latest.close() } }
                if round.isMultiple(of: 3) { group.cancelAll() }
            }
        }
    }

    @Test("once closed it holds nothing, takes nothing and lets nobody wait")
    func close() async {
        let latest = LatestValue(1)
        latest.close()
        latest.set(2)
        let snapshot = await latest.change(after: 100)
        #expect(snapshot.isClosed && snapshot.value == nil && snapshot.version == 1)
    }
}
