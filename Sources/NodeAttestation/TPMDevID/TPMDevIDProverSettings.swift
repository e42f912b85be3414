package import Platform

/// Where a node's DevID is, and what its TPM asks for.
package struct TPMDevIDProverSettings: Sendable {
    /// The DevID certificate, with its intermediates after it, PEM (`devid_cert_path`).
    package let certificatePath: String
    /// The private part of the DevID key as the TPM sealed it (`devid_priv_path`).
    package let privatePath: String
    /// The public area of the DevID key (`devid_pub_path`).
    package let publicPath: String
    /// The TPM: a character device, or a Unix socket that speaks as one (`tpm_device_path`).
    ///
    /// Nil to take the one that is there.
    package var devicePath: String?
    /// The DevID key's password (`devid_password`).
    package var devIDPassword: SecretBytes
    /// The password of the hierarchy below which the DevID key was made (`owner_hierarchy_password`).
    package var ownerPassword: SecretBytes
    /// The endorsement hierarchy's password (`endorsement_hierarchy_password`).
    package var endorsementPassword: SecretBytes

    package init(
        certificatePath: String, privatePath: String, publicPath: String, devicePath: String? = nil,
        devIDPassword: SecretBytes = SecretBytes([]), ownerPassword: SecretBytes = SecretBytes([]),
        endorsementPassword: SecretBytes = SecretBytes([])
    ) {
        (self.certificatePath, self.privatePath, self.publicPath) = (certificatePath, privatePath, publicPath)
        (self.devicePath, self.devIDPassword) = (devicePath, devIDPassword)
        (self.ownerPassword, self.endorsementPassword) = (ownerPassword, endorsementPassword)
    }
}
