import AllocationCount

/// How long something took, many times over.
struct Measurement: Sendable {
    let name: String
    let samples: [Duration]
    let elapsed: Duration

    /// The duration that a share of the samples stays within.
    func quantile(_ share: Double) -> Duration {
        let sorted = samples.sorted()
        guard !sorted.isEmpty else { return .zero }
        return sorted[min(sorted.count - 1, Int(Double(sorted.count) * share))]
    }

    /// Samples finished in a second.
    var rate: Double { Double(samples.count) / elapsed.seconds }

    /// One row of the table.
    var row: [String] {
        [name, "\(samples.count)", "\(Int(rate))/s", quantile(0.5).text, quantile(0.99).text]
    }
}

extension Duration {
    var seconds: Double { Double(components.seconds) + Double(components.attoseconds) / 1e18 }

    /// In nanoseconds below ten microseconds, in microseconds below a millisecond, in milliseconds above.
    var text: String {
        let micros = seconds * 1e6
        if micros < 10 { return "\(Int(micros * 1000)) ns" }
        if micros < 1000 { return "\(Int(micros)) us" }
        return "\((micros / 10).rounded() / 100) ms"
    }
}

/// Takes the samples.
enum Meter {
    /// Repeats one after another.
    static func serial(
        _ name: String, count: Int, warmUp: Int = 20, _ body: (Int) async throws -> Void
    ) async throws -> Measurement {
        for number in 0..<warmUp { try await body(-1 - number) }
        let clock = ContinuousClock()
        var samples: [Duration] = []
        let start = clock.now
        for number in 0..<count {
            let before = clock.now
            try await body(number)
            samples.append(clock.now - before)
        }
        return Measurement(name: name, samples: samples, elapsed: clock.now - start)
    }

    /// How many blocks one run asks of the heap.
    static func allocations(_ body: () async throws -> Void) async throws -> Int {
        let counted = 100
        let before = allocation_count_total()
        allocation_count_enable(true)
        for _ in 0..<counted { try await body() }
        allocation_count_enable(false)
        return Int(allocation_count_total() - before) / counted
    }
}
