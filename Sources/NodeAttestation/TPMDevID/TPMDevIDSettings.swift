package import X509

/// Which devices `tpm_devid` lets in.
package struct TPMDevIDSettings: Sendable {
    /// Whom DevID certificates must lead to (`devid_ca_path`); a device's certificate may bring intermediates.
    package let devIDAuthorities: [Certificate]
    /// Whom endorsement certificates must lead to (`endorsement_ca_path`): the makers of TPMs, with the intermediates
    /// that signed their certificates, because devices send none.
    package let endorsementAuthorities: [Certificate]

    package init(devIDAuthorities: [Certificate], endorsementAuthorities: [Certificate]) {
        (self.devIDAuthorities, self.endorsementAuthorities) = (devIDAuthorities, endorsementAuthorities)
    }
}
