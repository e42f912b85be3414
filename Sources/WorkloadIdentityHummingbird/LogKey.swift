#if Hummingbird
    /// Keys of log records.
    enum LogKey {
        static let code = "refusal.code"
        static let reason = "refusal.reason"
        static let caller = "spiffe.id"
    }
#endif
