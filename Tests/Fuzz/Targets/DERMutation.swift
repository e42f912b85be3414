/// Changes DER so that it stays DER: libFuzzer's own changes to one byte string mostly leave lengths that do not fit.
struct DERMutation {
    private var chance: Chance
    private let changeBytes: ([UInt8]) -> [UInt8]

    /// Creates a change.
    ///
    /// - Parameters:
    ///   - seed: What is changed, and how, follows from this alone.
    ///   - changeBytes: Changes the content of one element.
    init(seed: UInt32, changeBytes: @escaping ([UInt8]) -> [UInt8]) {
        chance = Chance(seed: seed)
        self.changeBytes = changeBytes
    }

    /// Changes one element of the input, which may have one byte in front of its DER.
    mutating func change(_ input: [UInt8]) -> [UInt8]? {
        let head = input.first == 0x30 ? 0 : 1
        guard var forest = DERForest(input.dropFirst(head)), !forest.trees.isEmpty else { return nil }
        change(&forest, donor: forest)
        return input.prefix(head) + forest.bytes
    }

    private mutating func change(_ forest: inout DERForest, donor: DERForest) {
        let index = chance.draw(forest.trees.count)
        // Deeper down there is more to change, so most of the time that is where it goes.
        if case .elements(let prefix, var inner) = forest.trees[index].content, !inner.trees.isEmpty, chance.draw(8) > 0
        {
            change(&inner, donor: donor)
            forest.trees[index].content = .elements(prefix: prefix, inner)
            return
        }
        switch chance.draw(8) {
        case 0: forest.trees.remove(at: index)
        case 1: forest.trees.insert(forest.trees[index], at: index)
        case 2: forest.trees.swapAt(index, chance.draw(forest.trees.count))
        case 3: forest.trees[index] = pick(from: donor)
        case 4: forest.trees.insert(pick(from: donor), at: index)
        case 5: forest.trees[index].tag = UInt8(chance.draw(256))
        default: forest.trees[index].content = .bytes(changeBytes(forest.trees[index].content.bytes))
        }
    }

    /// Some element of the whole.
    private mutating func pick(from forest: DERForest) -> DERForest.Tree {
        let tree = forest.trees[chance.draw(forest.trees.count)]
        if case .elements(_, let inner) = tree.content, !inner.trees.isEmpty, chance.draw(5) > 0 {
            return pick(from: inner)
        }
        return tree
    }
}
