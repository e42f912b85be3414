package import LinuxKernel

/// A script that was looked at while its exec was held, and is watched for writers since.
package final class HeldScript: Sendable {
    package let file: ExecutedFile
    package let handle: KernelFileHandle?
    private let script: ExecutedScript
    private let place: ScriptPlaces.Place

    init(file: ExecutedFile, script: ExecutedScript, place: ScriptPlaces.Place) {
        (self.file, self.script, handle, self.place) = (file, script, script.handle, place)
    }

    /// Whether nobody has opened it for writing since, as far as that is watched.
    var stands: Bool {
        guard case .measured = file.digest else { return true }
        return script.leaseStands
    }

    func release() { script.releaseLease() }
}
