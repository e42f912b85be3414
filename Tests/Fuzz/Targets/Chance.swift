/// Draws numbers that follow from a seed alone, so that the same seed makes the same change.
struct Chance {
    private var state: UInt64

    init(seed: UInt32) { state = UInt64(seed) }

    /// A number below the bound.
    mutating func draw(_ bound: Int) -> Int {
        // A linear congruence of Knuth's; its high bits are the random ones.
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return Int((state >> 33) % UInt64(bound))
    }
}
