extension X509Source {
    /// Replaces what a source holds that follows no endpoint, as an endpoint would.
    ///
    /// - Parameter state: The whole state, or why there is none any more.
    package func replace(with state: Result<X509Update, WorkloadAPIError>) { latest.set(state) }
}
