extension AuthorityRecord {
    /// Where an authority stands in its life.
    package enum State: String, Sendable, CaseIterable {
        /// Published, not yet signing, so that everyone knows it before it does.
        case prepared
        /// Signing.
        case active
        /// No longer signing; published until the last it signed has ended.
        case retired
        /// Signing elsewhere, published here.
        case published
        /// Still trusted, but everything it signed is to be replaced.
        case tainted
        /// Trusted no more; remembered so that it does not come back.
        case revoked
    }

    /// What moves an authority through its life.
    package enum Step: String, Sendable, CaseIterable {
        case activate
        case retire
        case taint
        case revoke
    }
}

extension AuthorityRecord.State {
    /// Where a step leads.
    ///
    /// - Returns: nil when the step cannot be taken from here: nothing skips a stage, and nothing comes back.
    package func after(_ step: AuthorityRecord.Step) -> AuthorityRecord.State? {
        switch (self, step) {
        case (.prepared, .activate): .active
        case (.prepared, .retire), (.active, .retire): .retired
        case (.retired, .taint), (.published, .taint): .tainted
        case (.tainted, .revoke): .revoked
        default: nil
        }
    }
}
