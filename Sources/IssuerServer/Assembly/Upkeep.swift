internal import Logging

/// What has to be done again and again, each step for itself: one that fails keeps no other from its turn.
struct Upkeep {
    struct Step {
        let name: String
        let run: () async throws -> Void

        init(_ name: String, _ run: @escaping () async throws -> Void) { (self.name, self.run) = (name, run) }
    }

    let logger: Logger

    /// Takes every step once.
    ///
    /// - Throws: `CancellationError`.
    func round(_ steps: [Step]) async throws {
        for step in steps {
            do {
                try await step.run()
            } catch let error as CancellationError {
                throw error
            } catch {
                try Task.checkCancellation()
                logger.error(
                    "upkeep failed and will be tried again",
                    metadata: ["upkeep.step": "\(step.name)", "error": "\(error)"])
            }
        }
    }
}
