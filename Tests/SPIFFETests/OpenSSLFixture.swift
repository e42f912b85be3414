import Foundation

/// What `openssl ca` and `openssl ca -gencrl` made: an authority, two SVIDs of it, and its list with the first of them.
///
/// Valid in all of 2027; the list names serial number 1001 with a reason, and has a number and a key identifier.
enum OpenSSLFixture {
    static let authority = bytes(
        """
        MIIBiDCCAS2gAwIBAgICEAAwCgYIKoZIzj0EAwIwGjEYMBYGA1UEAwwPT3BlblNTTCBmaXh0dXJlMB4XDTI2MTIzMTAwMDAwMFoX
        DTI4MDEwMTAwMDAwMFowGjEYMBYGA1UEAwwPT3BlblNTTCBmaXh0dXJlMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEmPejQvF+
        dVsABRl0cgKGkaVqPpNY9ZQZlCswTgE9PpMiEOSR4b8lw+HD9lLntgcRDj1ZGrRb2uy1vd8cFFdCgKNjMGEwDwYDVR0TAQH/BAUw
        AwEB/zAOBgNVHQ8BAf8EBAMCAQYwHQYDVR0OBBYEFED5L68bSPIONbPbXrkTTnL7NZSlMB8GA1UdEQQYMBaGFHNwaWZmZTovL2V4
        YW1wbGUub3JnMAoGCCqGSM49BAMCA0kAMEYCIQCRLm/JqBc7MTfg0/9eY1MyKCJy4RQdQ9LBU+oMyg7++AIhAIfliEJWZ/qOPJbH
        AJl0Aa1JH9JUaEY34Cs8ur24yj4K
        """)

    static let revoked = bytes(
        """
        MIIBoTCCAUegAwIBAgICEAEwCgYIKoZIzj0EAwIwGjEYMBYGA1UEAwwPT3BlblNTTCBmaXh0dXJlMB4XDTI2MTIzMTAwMDAwMFoX
        DTI4MDEwMTAwMDAwMFowEjEQMA4GA1UEAwwHcmV2b2tlZDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABEEzrO9xnP2iXKw3KbuD
        zNvFTyaWVXImDiuufmc1fqiLso77fWqKE5Mu3ONLJY7dfFOuqbsqqCboA3vVIhlQqXSjgYQwgYEwDAYDVR0TAQH/BAIwADAOBgNV
        HQ8BAf8EBAMCB4AwIQYDVR0RBBowGIYWc3BpZmZlOi8vZXhhbXBsZS5vcmcvdzAfBgNVHSMEGDAWgBRA+S+vG0jyDjWz2165E05y
        +zWUpTAdBgNVHQ4EFgQUlNpwVYY8YTWJvmGRbJTr7fmx/ykwCgYIKoZIzj0EAwIDSAAwRQIhAOO/aFu6GZqoXLYMLCUgumCt9iyJ
        DLLGIavncKFk4feGAiAWepP3/uRXM6tidGrzCY+AlMs/CvF1adVH0xgDhPjEig==
        """)

    static let kept = bytes(
        """
        MIIBnTCCAUSgAwIBAgICEAIwCgYIKoZIzj0EAwIwGjEYMBYGA1UEAwwPT3BlblNTTCBmaXh0dXJlMB4XDTI2MTIzMTAwMDAwMFoX
        DTI4MDEwMTAwMDAwMFowDzENMAsGA1UEAwwEa2VwdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABEEzrO9xnP2iXKw3KbuDzNvF
        TyaWVXImDiuufmc1fqiLso77fWqKE5Mu3ONLJY7dfFOuqbsqqCboA3vVIhlQqXSjgYQwgYEwDAYDVR0TAQH/BAIwADAOBgNVHQ8B
        Af8EBAMCB4AwIQYDVR0RBBowGIYWc3BpZmZlOi8vZXhhbXBsZS5vcmcvdzAfBgNVHSMEGDAWgBRA+S+vG0jyDjWz2165E05y+zWU
        pTAdBgNVHQ4EFgQUlNpwVYY8YTWJvmGRbJTr7fmx/ykwCgYIKoZIzj0EAwIDRwAwRAIgQ8GTc/BVkyOB7xAEPW5gG1M4mBIre6gY
        TS5pmp1uyMkCIC85lU4qsCOM7O/r44Xyz/Qho+7ODGcfX9Zhis35f0eD
        """)

    static let list = bytes(
        """
        MIH4MIGfAgEBMAoGCCqGSM49BAMCMBoxGDAWBgNVBAMMD09wZW5TU0wgZml4dHVyZRcNMjcwMTAxMDAwMDAwWhcNMjcwMjAxMDAw
        MDAwWjAjMCECAhABFw0yNjExMjMxMTI3MDhaMAwwCgYDVR0VBAMKAQGgLzAtMB8GA1UdIwQYMBaAFED5L68bSPIONbPbXrkTTnL7
        NZSlMAoGA1UdFAQDAgEHMAoGCCqGSM49BAMCA0gAMEUCIFflGBeUeKZWuVwhS05fJj9yySPrCgjB3DaQiu6KwH58AiEAxtLpmv9x
        G2C38Svl6nNgjM0TpKIjbQpk5YAjK2CNXao=
        """)

    private static func bytes(_ text: String) -> [UInt8] {
        Array(Data(base64Encoded: text, options: .ignoreUnknownCharacters) ?? Data())
    }
}
