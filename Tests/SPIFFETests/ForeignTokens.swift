import SPIFFE

/// Tokens that another implementation made: PyJWT 2.15.1 over `cryptography` 50.0.2.
///
/// The keys were made for this and thrown away.
///
/// Each is for `ledger` from `spiffe://example.org/payments`, issued at the start of 2026 and good until 2100; what the
/// claim `alg_used` says is what PyJWT was asked to sign with.
enum ForeignTokens {
    /// The public keys, as a JWK Set without `use`.
    static let jwkSet = """
        {"keys":[{"kty":"EC","kid":"p256","crv":"P-256","x":"mvalD3lVJoKCXyv7_QvC-fXmoxmgX3a6SOys6Ug1TBg","y":"o9TEMUKA\
        PcllIu6gsMNsL6um0TA819RzMnBxX7VZRsg"},{"kty":"EC","kid":"p384","crv":"P-384","x":"4OV74syH9tXQEq3MAUDtQ3dWqUggF\
        0FWSXHDcS2bYOTyyCZn52wh97tRpGGq2oq9","y":"xA-WZd7Slw-SZG1NyjBfQPJcuijI0PT30Ksd71gPesYg5620tcyIvRQHWs0AVu8L"},{"\
        kty":"EC","kid":"p521","crv":"P-521","x":"ASZrBMqHwXNKcZjsHvq2qtWciKBD84jy9Mv47vb3icbX7Lwot4bPTpqokMe6WcnrMgr3v\
        1wn24kRBJTDtN9xWmME","y":"ATUaxzPviACkkypok8j905jHWl40943ghzz16CwHBfzf1lEwLMPiAH00-CJV8uC8TZKj1l6dAALp9hEDJoQv8\
        PS_"},{"kty":"RSA","kid":"rsa","n":"2zARyJIfUGLcQcRy7ylBdoXHyufxCnDLq6Vgr05ybDCI5Dk0ghAU3ILvfSIdN5VNVqOWPN6OCN3\
        LdtET1-5nolOTd7O4-wZ_lA6tTsYI6zdp7lOnnhLBEGw8W_otS6CThI6oHk0Yi6NAv3MOrkbOux341VwyU5RwuKrA_QLcaRWtA7TP9GHCQthNRD\
        DX7w586WtZF3weClxDXYxahzXSDou6PDHIUKROE-86g9YCdLf7yyqMI7PVLvtyF7S7jFdXL_i1rl2a7t0x-R5onj18zvaw54fuO_D_Dze3gHuoy\
        aCNUHqpWXXCOrdp1BPsG8ueAecKF3fKopHHaKBtGyJGfw","e":"AQAB"}]}
        """

    /// A token for each algorithm.
    static let tokens: [(JWTAlgorithm, String)] = [
        (
            .rs256,
            """
            eyJhbGciOiJSUzI1NiIsImtpZCI6InJzYSIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJzcGlmZmU6Ly9leGFtcGxlLm9yZy9wYXltZW50cyIsIm\
            F1ZCI6ImxlZGdlciIsImV4cCI6NDEwMjQ0NDgwMCwiaWF0IjoxNzY3MjI1NjAwLCJhbGdfdXNlZCI6IlJTMjU2In0.We2GrCb4udauXAbL8\
            skXKmHHnCSrbY1LWMHX8WoFK9ecGNWGwdFS9u8UWvqXgQXjUStVtkyeFLCsqx1Y7N6yvVVzcp6Zu33ocVsuv89ZcBesMYbuwZOHUddeqi-E\
            0AsUlvuJMQPzeFHp6-YRatIjEw6LSXJFJb2MFkqUdL-7xv3egYvPtAmWA_GHqXOItgh1q8oUkMNZWrs-5d9pNoadh64fkWQOh54aBBXrZbR\
            Cn3RI_d2yu8wnZYNYnDGgSxogqZJbTqcmuB_ErHB2lZOLtTUduOCmh1WzMBi_UE8JeL6dgK1Vy5HGnEnesp6kxTyFeK2XF3OT_tXekseXSp\
            3_Lw
            """
        ),
        (
            .rs384,
            """
            eyJhbGciOiJSUzM4NCIsImtpZCI6InJzYSIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJzcGlmZmU6Ly9leGFtcGxlLm9yZy9wYXltZW50cyIsIm\
            F1ZCI6ImxlZGdlciIsImV4cCI6NDEwMjQ0NDgwMCwiaWF0IjoxNzY3MjI1NjAwLCJhbGdfdXNlZCI6IlJTMzg0In0.Pxqy-ZzXVND2yRzvV\
            8ybbwqc-aYuxt9xr7utwkoK17oClHu0glSItJiHQDz6B7PMHBcY-AfYpeIkAxbZvjx_QVLY7mMjh5AlDx14EqZ5inlPGNXvJ2i4qcO3LXku\
            10sLCMXGXC6z10RVSEC6bPxXhuk8N72W14t3JCqHimGJmKOp1DzYM8zOykf0mFRDFmvwX3LAhPN4HiNFia9EQej9sTNftI7rZqJL3Lk2tf-\
            l5aTqwFuDn5xUD8x-ADFdxY6iJBLR_BLLdq8aRzGjqWt6kDOG7BMe4wrIcxbNwviQkfvopkXwctldGD4ZfBQ0QbmDbMUGgGlJKAVfFMTCHj\
            9R4w
            """
        ),
        (
            .rs512,
            """
            eyJhbGciOiJSUzUxMiIsImtpZCI6InJzYSIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJzcGlmZmU6Ly9leGFtcGxlLm9yZy9wYXltZW50cyIsIm\
            F1ZCI6ImxlZGdlciIsImV4cCI6NDEwMjQ0NDgwMCwiaWF0IjoxNzY3MjI1NjAwLCJhbGdfdXNlZCI6IlJTNTEyIn0.A3oD9NUHTJPkG3V1z\
            _JkJ74QDb4fScnEIQWg9k_igxoeTq4p_RzGGFgtWrrAHjnLQcHz2hTDJH665FjADJZ41douhWrg8GkIIawrpj7xBHibPHejf_L88-rKZ98S\
            aOvRGnXerlOLnOvN9B0rogcIzhqUNto6GI98tAOPiJyzbZVoD-xpVBts69uocaQmD9_bo7FHmZ0SfbvT4X_5lhbZ3fweI88M8Xj-VjSAg9N\
            l8XQYmaTz1-9JpdtZ44Po20C8HFnafCG8A4G_uBhk8nN1vkxaOV7Py57n-oxvVkT8wi9lgmn-c-eee1Ca3zEal3W3f1J6ZcgyncnPFW4Dc0\
            ojUw
            """
        ),
        (
            .es256,
            """
            eyJhbGciOiJFUzI1NiIsImtpZCI6InAyNTYiLCJ0eXAiOiJKV1QifQ.eyJzdWIiOiJzcGlmZmU6Ly9leGFtcGxlLm9yZy9wYXltZW50cyIs\
            ImF1ZCI6ImxlZGdlciIsImV4cCI6NDEwMjQ0NDgwMCwiaWF0IjoxNzY3MjI1NjAwLCJhbGdfdXNlZCI6IkVTMjU2In0.JwniZN7WJgJVQ0a\
            -dnmaXfmtWMm3nFCLNIILqR2B9wQHwVO_oLiVIUrvBCLIKOv4tqqOeHfOSkqhq96ezIkK6g
            """
        ),
        (
            .es384,
            """
            eyJhbGciOiJFUzM4NCIsImtpZCI6InAzODQiLCJ0eXAiOiJKV1QifQ.eyJzdWIiOiJzcGlmZmU6Ly9leGFtcGxlLm9yZy9wYXltZW50cyIs\
            ImF1ZCI6ImxlZGdlciIsImV4cCI6NDEwMjQ0NDgwMCwiaWF0IjoxNzY3MjI1NjAwLCJhbGdfdXNlZCI6IkVTMzg0In0.1_eZklnd6oIFNAq\
            f1vNVzZy2KB3KoSNaiHH3uHGF43QdN-bRzOHP9TOBW6HBCLfpAegBB5UaDyX-b4Zcc3PR5QiDUHKcR5QX84u8q7rKA31sRGMncpnNvUPR82\
            Ie8SXx
            """
        ),
        (
            .es512,
            """
            eyJhbGciOiJFUzUxMiIsImtpZCI6InA1MjEiLCJ0eXAiOiJKV1QifQ.eyJzdWIiOiJzcGlmZmU6Ly9leGFtcGxlLm9yZy9wYXltZW50cyIs\
            ImF1ZCI6ImxlZGdlciIsImV4cCI6NDEwMjQ0NDgwMCwiaWF0IjoxNzY3MjI1NjAwLCJhbGdfdXNlZCI6IkVTNTEyIn0.AA5UaNi-M2sgex5\
            Xad1XF34MUxxXS5t-FX_lpb4mGWw0OVjOJJQYpsgWqOAOEAO_Ms39vh4JvcodXpBoDRInHvSaAeVxAC6X8vOg0Wc0Gy0G5jNTtJTaa0ByKN\
            2u_F4F7nW1-eSfnbZ0aOvl2qdOjUx8gKmNZa7hhprc5PRNuwlfFdcf
            """
        ),
        (
            .ps256,
            """
            eyJhbGciOiJQUzI1NiIsImtpZCI6InJzYSIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJzcGlmZmU6Ly9leGFtcGxlLm9yZy9wYXltZW50cyIsIm\
            F1ZCI6ImxlZGdlciIsImV4cCI6NDEwMjQ0NDgwMCwiaWF0IjoxNzY3MjI1NjAwLCJhbGdfdXNlZCI6IlBTMjU2In0.I2d2HCscVkYRVcx5k\
            YRNJZ1USp7VQunddGTzoWEkb7O36YLWXIN2BnYTTfEyyKSTc6G0pwy1PWNrCEbmgGWPa2GdhjGs_WTQ4dZKOHpSXXCAEMv-8S8JXrHrB5lG\
            OokMF-qM4Zfmv-KvwNcvQ0JFXA5WsdxnvC6sPZ_Pa5bDs3XWocOl7u1_pUZLbKjhtpCcipbQC9ZfVDB0qQ374d1M-rX_LaEz3JgLZw-wMtW\
            l9AQo9i93YKf_3aF0ZtJya6DuWdkrIXkD-UW_LritGW7GlJtb_eAJMKEeQJlp9yQrTTdHGe5d_e_hXKzfUBqQ54Z8yondx4dbgEM5E9Bcj_\
            pJ9A
            """
        ),
        (
            .ps384,
            """
            eyJhbGciOiJQUzM4NCIsImtpZCI6InJzYSIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJzcGlmZmU6Ly9leGFtcGxlLm9yZy9wYXltZW50cyIsIm\
            F1ZCI6ImxlZGdlciIsImV4cCI6NDEwMjQ0NDgwMCwiaWF0IjoxNzY3MjI1NjAwLCJhbGdfdXNlZCI6IlBTMzg0In0.sRvQcrxi4l2GuaqIF\
            xlc-ju7Sa6RedjYudZz-GQgegyF-sVAQ5YpOJ8po2XO02IXZKCg8HzUJ-4TIIKyIFsyOQAQ6Aflm2eijYGpkwiR7K8sxuNfmIgqSjMHapxv\
            58NdjP_PMV64FXRAFH8bPiYIORs_WC_ovIVoxYmNLTZAadrK4jKKMG02MMmB9VzEoZlhcBQf-J3r9ZQT8HYJ8YC24cBesxwzxOaZiJ010os\
            YktCr9Ay-uFE3UxGpb6euUbLk72BDCHe4duxW-rBI4NOk4vnZnbcpur0zo3D2IFpkqWpeFvWDYiZIj93lIkh2fNSBF-l3BzXdPUYJwJgZk1\
            94bg
            """
        ),
        (
            .ps512,
            """
            eyJhbGciOiJQUzUxMiIsImtpZCI6InJzYSIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJzcGlmZmU6Ly9leGFtcGxlLm9yZy9wYXltZW50cyIsIm\
            F1ZCI6ImxlZGdlciIsImV4cCI6NDEwMjQ0NDgwMCwiaWF0IjoxNzY3MjI1NjAwLCJhbGdfdXNlZCI6IlBTNTEyIn0.ZgnmK9f0nj_asgF5Y\
            uSAbY8GrZ15IduCPbQDjGJRRHyuhbDNGmmIG4w3lRozZS69yRSN7tv4Cf4qY12OXa0ALb5Kn1SmFETeidPTd2NtTV_mh2MneLpfY4uUE0We\
            p82pbjsaTiz_gIOoXtTHPJmZddiQ5s5vq2PltutOYYcvyEJHiAwp95JTBRcxZgeeHKXZkckbHNWHtCH2YJ0L0HSXXLwhUhhDRqVrOtSqWX4\
            UwBESTu5wjJ8wgv7IfGYW3iD6OndffcCMY4SO5xlqPOgAA9JHaxzVBN0Imn37vlkr0HUogD0R0HA0jcybLtm7GinX-LN_Mc1nqOwNfUV94p\
            k7tg
            """
        ),
    ]
}
