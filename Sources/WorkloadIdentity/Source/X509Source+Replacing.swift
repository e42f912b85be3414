extension X509Source {
    /// Replaces what the source holds, as the endpoint would; for tests of rotation and withdrawal.
    package func replace(with state: Result<X509Update, WorkloadAPIError>) { latest.set(state) }
}
