// Written by Tests/Fuzz/make-corpus.

/// What the targets take for granted: whom they trust, at which instant, and leaves with known keys.
enum Fixtures {
    /// The instant at which everything is judged, in seconds since 1970.
    static let instant = 1_800_000_000.0

    /// A SPIFFE bundle document of `example.org`; the private keys of its authorities are known to everyone.
    static let bundleDocument = #"""
        {"keys":[{"kty":"EC","crv":"P-256","x":"axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY","y":"T-NC4v\#
        4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU","use":"x509-svid","x5c":["MIIBwjCCAWmgAwIBAgIBATAKBggqhkj\#
        OPQQDAjAnMRYwFAYDVQQKDA1NaW50bWFyayBUZXN0MQ0wCwYDVQQDDARyb290MB4XDTI2MDEwMTAwMDAwMFoXDTM2MDEwMTA\#
        wMDAwMFowJzEWMBQGA1UECgwNTWludG1hcmsgVGVzdDENMAsGA1UEAwwEcm9vdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0I\#
        ABGsX0fLhLEJH+Lzm5WOkQPJ3A32BLeszoPShOUXYmMKWT+NC4v4af5uO5+tKfA+eFivOM1drMV7Oy7ZAaDe/UfWjgYUwgYI\#
        wDwYDVR0TAQH/BAUwAwEB/zAOBgNVHQ8BAf8EBAMCAQYwHwYDVR0RBBgwFoYUc3BpZmZlOi8vZXhhbXBsZS5vcmcwHQYDVR0\#
        OBBYEFLRno5mete+mcd4AMvCKnJ5e/aDhMB8GA1UdIwQYMBaAFLRno5mete+mcd4AMvCKnJ5e/aDhMAoGCCqGSM49BAMCA0c\#
        AMEQCIEXM9ehmMhico/popIiVR49BGGvrNbjmsjmTjv6F9m9yAiBqEtr6qCA9Rxf/awo0rcQSoms6SgdrCJfAteROdlQIOw=\#
        ="]},{"kty":"RSA","n":"1f0P1JVKoBC1giGUg2Ckp9w3-qDDS6zVagJGE4J6y7N9JCYr8IwTnqaFGAdXHhJ1CwNBWSy6Q\#
        MzGCjVz0ASGVqYiBPGYwHbOVwYkBdNHfnbBWCcsW4zLXqT_6q1X3Gnxp7xL6SH2ghALJlXFo47pP9erHhOGH7XQ8yKJZRN2v\#
        AR7JRoUORpzhPEonWjPV-gegEMJ4NvvVnfKy07v-oi1mSE4i5fvgZoV-pPNfWkt3f7JLpsUdKfBUiYdfDGSgskKyPH2oCcNV\#
        CimYp45oOJklJcjd0vruEOqsni8E8bLaLWSIPk6VfIPqK8QAkEUmGGJZJv0qPODE0BOknQYXqwhOw","e":"AQAB","use":\#
        "x509-svid","x5c":["MIIDVzCCAj+gAwIBAgIBATANBgkqhkiG9w0BAQsFADArMRYwFAYDVQQKDA1NaW50bWFyayBUZXN0\#
        MREwDwYDVQQDDAhSU0Egcm9vdDAeFw0yNjAxMDEwMDAwMDBaFw0zNjAxMDEwMDAwMDBaMCsxFjAUBgNVBAoMDU1pbnRtYXJr\#
        IFRlc3QxETAPBgNVBAMMCFJTQSByb290MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA1f0P1JVKoBC1giGUg2Ck\#
        p9w3+qDDS6zVagJGE4J6y7N9JCYr8IwTnqaFGAdXHhJ1CwNBWSy6QMzGCjVz0ASGVqYiBPGYwHbOVwYkBdNHfnbBWCcsW4zL\#
        XqT/6q1X3Gnxp7xL6SH2ghALJlXFo47pP9erHhOGH7XQ8yKJZRN2vAR7JRoUORpzhPEonWjPV+gegEMJ4NvvVnfKy07v+oi1\#
        mSE4i5fvgZoV+pPNfWkt3f7JLpsUdKfBUiYdfDGSgskKyPH2oCcNVCimYp45oOJklJcjd0vruEOqsni8E8bLaLWSIPk6VfIP\#
        qK8QAkEUmGGJZJv0qPODE0BOknQYXqwhOwIDAQABo4GFMIGCMA8GA1UdEwEB/wQFMAMBAf8wDgYDVR0PAQH/BAQDAgEGMB8G\#
        A1UdEQQYMBaGFHNwaWZmZTovL2V4YW1wbGUub3JnMB0GA1UdDgQWBBRNsWWGvfSIIAImeasAS4i1SsxhwjAfBgNVHSMEGDAW\#
        gBRNsWWGvfSIIAImeasAS4i1SsxhwjANBgkqhkiG9w0BAQsFAAOCAQEAd+fj3D2afU/WT3T2zFG+0KhDAn4K8+2ll3GubI2v\#
        n07XFi1cOBpvoCE0G/T46IhB4j3pTIzx7OmEQjzjb3Imy6NRL0H4HshzhFHVa0i9AFVBsH3/yf5ouBuhPwoz6aafvBaXT26+\#
        K3Z8hxNHKoVuq0b3mQrH0Y3Z6riLCHki7XqzVGS9Q17QJbNygx2d8rNpx6ajNy/JO+m3n/YR0Kp9q7+/T/jnwqQgydwgNoKs\#
        jvFi7BuJTFPAT9ULGMJKRjULV8adY5RBiXcd6NgbtCOC9mXyo8y1o5w96Dm8DZVYKv44Bfy6mgNwIkbPbk1+ph0atisVM8ZX\#
        Mezjt2Pw7TPAwA=="]},{"kty":"EC","crv":"P-256","x":"axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY",\#
        "y":"T-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU","use":"jwt-svid","kid":"k1"},{"kty":"EC","crv"\#
        :"P-384","x":"qofKIr6LBTeOscce8yCtdG4dO2KLp5uYWfdB4IJUKjhVAvJdv1UpbDpUXjhydgq3","y":"NhfeSpYmLG9\#
        dnpi_kpLcKfj0Hb0omhR86doxE7XwuMAKYLHOHX6BnXpDHXyQ6g5f","use":"jwt-svid","kid":"k384"},{"kty":"EC\#
        ","crv":"P-521","x":"AMaFjga3BATpzZ4-y2YjlbRCnGSBOQU_tSH4KK9ga009uqFLXnfv51ko_h3BJ6L_qN4zSLPBhWp\#
        Cm_l-fjHC5b1m","y":"ARg5KWp4mjvABFyKX7QsfRvZmPVESVebRGgXr70XJz5mLJfucple9CZAxVC5AT-tB2E1PHCGonLC\#
        QIi-lHaf0WZQ","use":"jwt-svid","kid":"k521"},{"kty":"RSA","n":"1f0P1JVKoBC1giGUg2Ckp9w3-qDDS6zVa\#
        gJGE4J6y7N9JCYr8IwTnqaFGAdXHhJ1CwNBWSy6QMzGCjVz0ASGVqYiBPGYwHbOVwYkBdNHfnbBWCcsW4zLXqT_6q1X3Gnxp\#
        7xL6SH2ghALJlXFo47pP9erHhOGH7XQ8yKJZRN2vAR7JRoUORpzhPEonWjPV-gegEMJ4NvvVnfKy07v-oi1mSE4i5fvgZoV-\#
        pPNfWkt3f7JLpsUdKfBUiYdfDGSgskKyPH2oCcNVCimYp45oOJklJcjd0vruEOqsni8E8bLaLWSIPk6VfIPqK8QAkEUmGGJZ\#
        Jv0qPODE0BOknQYXqwhOw","e":"AQAB","use":"jwt-svid","kid":"rsa"}],"spiffe_sequence":1,"spiffe_ref\#
        resh_hint":300}
        """#

    /// A leaf for each kind of key, DER in base64.
    static let leaves = [
        // p256
        #"""
        MIIB4TCCAYegAwIBAgIBBzAKBggqhkjOPQQDAjAnMRYwFAYDVQQKDA1NaW50bWFyayBUZXN0MQ0wCwYDVQQDDARyb290MB4X\#
        DTI3MDExNTA3MzAwMFoXDTI3MDExNTA4MzAwMFowJzEWMBQGA1UECgwNTWludG1hcmsgVGVzdDENMAsGA1UEAwwEbGVhZjBZ\#
        MBMGByqGSM49AgEGCCqGSM49AwEHA0IABF7L5NGmMwpEyPfvlR1L8WXmxrch762phftBZhvG5/1shzRkDEmY/343SwbOGmSi\#
        7NgqsDY4T7g9mnmxJ6J9UDKjgaMwgaAwDAYDVR0TAQH/BAIwADAOBgNVHQ8BAf8EBAMCB4AwHQYDVR0lBBYwFAYIKwYBBQUH\#
        AwEGCCsGAQUFBwMCMCEGA1UdEQQaMBiGFnNwaWZmZTovL2V4YW1wbGUub3JnL3cwHQYDVR0OBBYEFPwstwEpRS+TZAK5nJze\#
        omdBKxKAMB8GA1UdIwQYMBaAFLRno5mete+mcd4AMvCKnJ5e/aDhMAoGCCqGSM49BAMCA0gAMEUCIEUwt2F0tAi8BO00aXuf\#
        z3GrDQxd19ycJufwckczPdJoAiEAvChuGaxxS6XOO8CCQ8oJK8bNbXss2BDQHte6w86sfRw=
        """#,
        // p384
        #"""
        MIIB/jCCAaSgAwIBAgIBBzAKBggqhkjOPQQDAjAnMRYwFAYDVQQKDA1NaW50bWFyayBUZXN0MQ0wCwYDVQQDDARyb290MB4X\#
        DTI3MDExNTA3MzAwMFoXDTI3MDExNTA4MzAwMFowJzEWMBQGA1UECgwNTWludG1hcmsgVGVzdDENMAsGA1UEAwwEbGVhZjB2\#
        MBAGByqGSM49AgEGBSuBBAAiA2IABAd6QdRgb/oUZHk8fl/cfZjLnTkQIC3NBr6k8kDTVm2mtAi7rlAmWA0C1+XHBQDIMcmV\#
        98oLDEKDfQu+lgKp/JmFILQchRFapfdoTA7cER6swkq9a+S10pi2XyhgCi8d8aOBozCBoDAMBgNVHRMBAf8EAjAAMA4GA1Ud\#
        DwEB/wQEAwIHgDAdBgNVHSUEFjAUBggrBgEFBQcDAQYIKwYBBQUHAwIwIQYDVR0RBBowGIYWc3BpZmZlOi8vZXhhbXBsZS5v\#
        cmcvdzAdBgNVHQ4EFgQU0dO/Pt92K8l/3C0mXLdEkf8UYgwwHwYDVR0jBBgwFoAUtGejmZ6176Zx3gAy8Iqcnl79oOEwCgYI\#
        KoZIzj0EAwIDSAAwRQIgJOqce0mrACbyai98UPBIUupc8MGLp6dlY8g97ub52wACIQCy8vFpyvdube5xyV1iTDtNXv+IQEtW\#
        NakN76CS3T1agA==
        """#,
        // p521
        #"""
        MIICJDCCAcqgAwIBAgIBBzAKBggqhkjOPQQDAjAnMRYwFAYDVQQKDA1NaW50bWFyayBUZXN0MQ0wCwYDVQQDDARyb290MB4X\#
        DTI3MDExNTA3MzAwMFoXDTI3MDExNTA4MzAwMFowJzEWMBQGA1UECgwNTWludG1hcmsgVGVzdDENMAsGA1UEAwwEbGVhZjCB\#
        mzAQBgcqhkjOPQIBBgUrgQQAIwOBhgAEAac9NSRD3ikZXdkdamS1lZR5tSpuWxI9mrnlrXoRLXqN0a0/Fko6SDIFHaa9FrWf\#
        4huutJCGLDLqBaWRnS7eN619AT6bA7l9+mLd2ZefhsbKuBTy8VV/qCqdAxfS+Ksfo1XO7C4t1M+NxXWwLVrO0d7DxwzxBcm8\#
        k6WQQl9YjKHuhsDlo4GjMIGgMAwGA1UdEwEB/wQCMAAwDgYDVR0PAQH/BAQDAgeAMB0GA1UdJQQWMBQGCCsGAQUFBwMBBggr\#
        BgEFBQcDAjAhBgNVHREEGjAYhhZzcGlmZmU6Ly9leGFtcGxlLm9yZy93MB0GA1UdDgQWBBQm1AqWwE/ZzoepZSxC3z1B8URE\#
        PTAfBgNVHSMEGDAWgBS0Z6OZnrXvpnHeADLwipyeXv2g4TAKBggqhkjOPQQDAgNIADBFAiEAihFhR0A28pqNk7G1XxrsKUCj\#
        HAV1lmWqJEGLlaKMsigCIGgVy2eVL9Vjl/PUf6d7lqxHAYBWU/xQyRcDR9HMu0Cc
        """#,
        // rsa
        #"""
        MIICrDCCAlKgAwIBAgIBBzAKBggqhkjOPQQDAjAnMRYwFAYDVQQKDA1NaW50bWFyayBUZXN0MQ0wCwYDVQQDDARyb290MB4X\#
        DTI3MDExNTA3MzAwMFoXDTI3MDExNTA4MzAwMFowJzEWMBQGA1UECgwNTWludG1hcmsgVGVzdDENMAsGA1UEAwwEbGVhZjCC\#
        ASIwDQYJKoZIhvcNAQEBBQADggEPADCCAQoCggEBANIgZYw3vyAS3+QWXDYJU/BeyLa2yIi+6usezy0BxqeqBirRTktnaoat\#
        AhEnhZTVT2xsOxubsIUkYhFhvKMddMLJqK826ieznJdINs3XL/rMN2kjyutmJiYMRYd6IJMq6jrFxwOUaSBjscmZNIBO2Uzt\#
        vDqI0+K7lPV9W5/T3Y3AldY0f7Q9euqKOXuCNd+6TjMTdQi0br+mV2koaiR+f3aZJrjQarHDYuHhBc8YTCiAGYxMjAR1lFX9\#
        G8kxogpah5JLij0HAPg1HNhHBepiBYr2taF+UdRrEIbUczDGCYB0K+C3HyeziSMgwV6+OGvEaxUVw1iSJLvT76KPLDxs9ncC\#
        AwEAAaOBozCBoDAMBgNVHRMBAf8EAjAAMA4GA1UdDwEB/wQEAwIHgDAdBgNVHSUEFjAUBggrBgEFBQcDAQYIKwYBBQUHAwIw\#
        IQYDVR0RBBowGIYWc3BpZmZlOi8vZXhhbXBsZS5vcmcvdzAdBgNVHQ4EFgQUw8Vm5cGhsDLH23J7ryeBKfbc4IowHwYDVR0j\#
        BBgwFoAUtGejmZ6176Zx3gAy8Iqcnl79oOEwCgYIKoZIzj0EAwIDSAAwRQIhAMMLJN8Kk66TAbFbGV+opVXK91+wLIXIHO0e\#
        ILRdE9aOAiBfxWSuHkwkxeZyjWgCSOeV06AprCmcneILF5cVKpoWYA==
        """#,
    ]
}
