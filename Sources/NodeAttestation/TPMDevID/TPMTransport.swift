/// A way to a TPM.
package protocol TPMTransport {
    /// Sends a whole command, and waits for the whole answer on the calling thread.
    ///
    /// - Throws: ``TPMError/transport(_:)``.
    func exchange(_ command: [UInt8]) throws(TPMError) -> [UInt8]
}
