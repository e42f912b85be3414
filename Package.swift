// swift-tools-version: 6.2
import PackageDescription

// Every target of ours is held to the same rules; generated code and C are not ours to style.
let strict: [SwiftSetting] = [
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
]

let argumentParser = Target.Dependency.product(
    name: "ArgumentParser", package: "swift-argument-parser", condition: .when(traits: ["Mintmark"]))
let asyncHTTPClient = Target.Dependency.product(
    name: "AsyncHTTPClient", package: "async-http-client", condition: .when(traits: ["AsyncHTTPClient", "Mintmark"]))
let asn1 = Target.Dependency.product(name: "SwiftASN1", package: "swift-asn1")
let certificates = Target.Dependency.product(name: "X509", package: "swift-certificates")
let configuration = Target.Dependency.product(
    name: "Configuration", package: "swift-configuration", condition: .when(traits: ["Mintmark"]))
let crypto = Target.Dependency.product(name: "Crypto", package: "swift-crypto")
let cryptoExtras = Target.Dependency.product(name: "CryptoExtras", package: "swift-crypto")
let grdb = Target.Dependency.product(
    name: "GRDB", package: "GRDB.swift", condition: .when(traits: ["Mintmark"]))
let grpcCore = Target.Dependency.product(name: "GRPCCore", package: "grpc-swift-2")
let grpcInProcess = Target.Dependency.product(name: "GRPCInProcessTransport", package: "grpc-swift-2")
let grpcHTTP2 = Target.Dependency.product(name: "GRPCNIOTransportHTTP2Posix", package: "grpc-swift-nio-transport")
let grpcProtobuf = Target.Dependency.product(name: "GRPCProtobuf", package: "grpc-swift-protobuf")
let httpTypes = Target.Dependency.product(
    name: "HTTPTypes", package: "swift-http-types", condition: .when(traits: ["Hummingbird"]))
let hummingbird = Target.Dependency.product(
    name: "Hummingbird", package: "hummingbird", condition: .when(traits: ["Hummingbird"]))
let hummingbirdCore = Target.Dependency.product(
    name: "HummingbirdCore", package: "hummingbird", condition: .when(traits: ["Hummingbird"]))
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let nioCore = Target.Dependency.product(name: "NIOCore", package: "swift-nio")
let nioPosix = Target.Dependency.product(name: "NIOPosix", package: "swift-nio")
let nioEmbedded = Target.Dependency.product(name: "NIOEmbedded", package: "swift-nio")
let nioHTTP1 = Target.Dependency.product(name: "NIOHTTP1", package: "swift-nio")
let nioTLS = Target.Dependency.product(name: "NIOTLS", package: "swift-nio")
let nioSSL = Target.Dependency.product(name: "NIOSSL", package: "swift-nio-ssl")
let protobuf = Target.Dependency.product(name: "SwiftProtobuf", package: "swift-protobuf")
let lifecycle = Target.Dependency.product(
    name: "ServiceLifecycle", package: "swift-service-lifecycle", condition: .when(traits: ["Mintmark"]))
let signals = Target.Dependency.product(
    name: "UnixSignals", package: "swift-service-lifecycle", condition: .when(traits: ["Mintmark"]))
let system = Target.Dependency.product(
    name: "SystemPackage", package: "swift-system", condition: .when(traits: ["Mintmark"]))
let yams = Target.Dependency.product(
    name: "Yams", package: "Yams", condition: .when(traits: ["Mintmark"]))

let package = Package(
    name: "mintmark",
    products: [
        .library(name: "SPIFFE", targets: ["SPIFFE"]),
        .library(name: "WorkloadIdentity", targets: ["WorkloadIdentity"]),
        .library(name: "WorkloadIdentityAsyncHTTPClient", targets: ["WorkloadIdentityAsyncHTTPClient"]),
        .library(name: "WorkloadIdentityGRPC", targets: ["WorkloadIdentityGRPC"]),
        .library(name: "WorkloadIdentityHummingbird", targets: ["WorkloadIdentityHummingbird"]),
        .executable(name: "mintmark", targets: ["mintmark"]),
    ],
    // Each brings in what one part needs. All are on unless a user asks for fewer: `traits: []` leaves SPIFFE and
    // WorkloadIdentity, `traits: ["Hummingbird"]` adds the one; the mintmark executable needs them all.
    traits: [
        .default(enabledTraits: ["AsyncHTTPClient", "GRPC", "Hummingbird", "Mintmark"]),
        .trait(name: "AsyncHTTPClient", description: "HTTP clients with AsyncHTTPClient."),
        .trait(name: "GRPC", description: "Services and clients with grpc-swift 2."),
        .trait(name: "Hummingbird", description: "HTTP services with Hummingbird 2."),
        .trait(name: "Mintmark", description: "The issuer, the node agent and the command line."),
    ],
    dependencies: [
        // The command line: parsing, help and completion.
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        // DER, under the X.509 library, for the few structures it does not cover.
        .package(url: "https://github.com/apple/swift-asn1", from: "1.7.4"),
        // X.509: certificates, signing requests and path validation, memory-safe.
        .package(url: "https://github.com/apple/swift-certificates", from: "1.21.1"),
        // Configuration files with environment overrides.
        .package(url: "https://github.com/apple/swift-configuration", from: "1.4.0", traits: ["YAML"]),
        // Keys, signatures and digests.
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        // Structured logs.
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        // Sockets and event loops under gRPC; needed by name to learn who connected.
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        // TLS between agents and issuer.
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
        // The messages of both APIs.
        .package(url: "https://github.com/apple/swift-protobuf", from: "1.39.0"),
        // Header names and requests, as Hummingbird spells them.
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
        // The embedded store, over SQLite.
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        // gRPC: calls, its HTTP/2 transport, and Protobuf on top.
        .package(url: "https://github.com/grpc/grpc-swift-2", from: "2.4.3"),
        .package(url: "https://github.com/grpc/grpc-swift-nio-transport", from: "2.9.2"),
        .package(url: "https://github.com/grpc/grpc-swift-protobuf", from: "2.4.1"),
        // HTTP services: what verify-server is made of, and what the middleware is for.
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1"),
        // YAML, to name an unknown configuration key and to print --output yaml.
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
        // File paths, as the configuration library takes them.
        .package(url: "https://github.com/apple/swift-system", from: "1.8.1"),
        // HTTP clients that call as a workload. Minor releases are looked at first: TLS goes in by a hook of theirs.
        .package(url: "https://github.com/swift-server/async-http-client", .upToNextMinor(from: "1.37.0")),
        // Start, stop and signals of long-running parts.
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    ],
    targets: [
        // Shipped.
        .target(
            name: "SPIFFE", dependencies: [asn1, certificates, crypto, cryptoExtras], swiftSettings: strict),
        .target(
            name: "WorkloadIdentity",
            dependencies: [
                "SPIFFE", "WorkloadAPIProtos", certificates, grpcCore, grpcHTTP2, grpcProtobuf, logging, nioCore,
                nioSSL, nioTLS,
                protobuf,
            ], swiftSettings: strict),
        .target(
            name: "WorkloadIdentityAsyncHTTPClient",
            dependencies: ["SPIFFE", "WorkloadIdentity", asyncHTTPClient, nioCore, nioHTTP1, nioSSL, nioTLS],
            swiftSettings: strict),
        .target(
            name: "WorkloadIdentityGRPC",
            dependencies: [
                "GRPCConnections", "SPIFFE", "WorkloadIdentity", certificates, grpcCore, grpcHTTP2, logging, nioCore,
                nioSSL,
            ],
            swiftSettings: strict),
        .target(
            name: "WorkloadIdentityHummingbird",
            dependencies: [
                "SPIFFE", "WorkloadIdentity", httpTypes, hummingbird, hummingbirdCore, logging, nioCore, nioSSL,
            ],
            swiftSettings: strict),
        .target(
            name: "GRPCConnections",
            dependencies: [grpcCore, grpcHTTP2, nioCore, nioPosix], swiftSettings: strict),

        // Seams.
        .target(name: "Platform", swiftSettings: strict),
        .target(name: "CLinuxKernel"),
        .target(name: "LinuxKernel", dependencies: ["CLinuxKernel", "Platform"], swiftSettings: strict),

        // The workload socket's own server.
        .target(name: "GRPCWire", swiftSettings: strict),
        .target(
            name: "WorkloadSocket", dependencies: ["GRPCWire", "LinuxKernel", "Platform", logging],
            swiftSettings: strict),
        .target(
            name: "LocalGRPC", dependencies: ["GRPCConnections", "GRPCWire", grpcCore, nioCore, nioPosix],
            swiftSettings: strict),

        // Domains.
        .target(
            name: "IssuerDomain",
            dependencies: ["SPIFFE", "Platform", asn1, certificates, crypto, cryptoExtras, logging],
            swiftSettings: strict),
        .target(
            name: "AgentDomain", dependencies: ["SPIFFE", "Platform", logging], swiftSettings: strict),

        // Adapters.
        .target(
            name: "WorkloadAttestation",
            dependencies: ["AgentDomain", "SPIFFE", "Platform", "LinuxKernel", crypto], swiftSettings: strict),
        .target(
            name: "RecordSpool", dependencies: ["IssuerDomain", "Platform", logging], swiftSettings: strict),
        .target(
            name: "SQLiteStore", dependencies: ["IssuerDomain", "SPIFFE", "Platform", grdb], swiftSettings: strict),
        .target(
            name: "OutboundHTTP", dependencies: [asn1, asyncHTTPClient, certificates, nioCore, nioHTTP1, nioSSL],
            swiftSettings: strict),
        .target(
            name: "NodeAttestation",
            dependencies: [
                "OutboundHTTP", "SPIFFE", "Platform", asn1, certificates, crypto, cryptoExtras, nioCore, nioHTTP1,
                nioPosix,
            ],
            swiftSettings: strict),
        .target(name: "CPKCS11"),
        .target(
            name: "KeyStore",
            dependencies: [
                "CPKCS11", "IssuerDomain", "SPIFFE", "Platform", asn1, certificates, crypto, cryptoExtras,
            ],
            swiftSettings: strict),
        .target(
            name: "UpstreamAuthorities",
            dependencies: [
                "IssuerDomain", "IssuerAPIProtos", "Bootstrap", "SPIFFE", "Platform", "WorkloadIdentity", asn1,
                certificates, grpcCore, grpcHTTP2, grpcProtobuf, logging, protobuf,
            ], swiftSettings: strict),

        // Wire.
        .target(
            name: "WorkloadAPIProtos", dependencies: [protobuf, grpcCore, grpcProtobuf], exclude: ["proto"]),
        .target(
            name: "IssuerAPIProtos", dependencies: [protobuf, grpcCore, grpcProtobuf], exclude: ["proto"]),

        .target(name: "HealthProtos", dependencies: [protobuf, grpcCore, grpcProtobuf], exclude: ["proto"]),

        // Shell.
        .target(
            name: "Bootstrap",
            dependencies: [
                "GRPCConnections", "SPIFFE", "Platform", "LinuxKernel", "HealthProtos", "WorkloadIdentity",
                certificates, configuration, grpcCore, grpcHTTP2, httpTypes, hummingbirdCore,
                lifecycle, logging, nioCore, nioPosix, nioSSL, protobuf, system, yams,
            ], swiftSettings: strict),

        // Assemblies.
        .target(
            name: "IssuerServer",
            dependencies: [
                "IssuerDomain", "SQLiteStore", "RecordSpool", "KeyStore", "NodeAttestation", "OutboundHTTP",
                "IssuerAPIProtos", "UpstreamAuthorities", "Bootstrap",
                "GRPCConnections", "LocalGRPC", "SPIFFE",
                "Platform", "LinuxKernel", "WorkloadIdentity", asn1, certificates, crypto, grpcCore, grpcHTTP2,
                grpcInProcess, grpcProtobuf, lifecycle,
                logging, nioCore, protobuf,
            ], swiftSettings: strict),
        .target(
            name: "NodeAgent",
            dependencies: [
                "AgentDomain", "NodeAttestation", "WorkloadAttestation", "WorkloadSocket", "GRPCWire",
                "WorkloadAPIProtos", "IssuerAPIProtos", "HealthProtos", "Bootstrap", "SPIFFE", "Platform",
                "LinuxKernel", asn1, certificates,
                crypto, cryptoExtras, grpcCore,
                grpcHTTP2, grpcProtobuf,
                lifecycle,
                logging, protobuf,
            ], swiftSettings: strict),
        .target(
            name: "VerifyServer",
            dependencies: [
                "Bootstrap", "Platform", "SPIFFE", "WorkloadIdentity", asn1, certificates, httpTypes, hummingbirdCore,
                lifecycle, logging, nioCore, nioPosix,
            ], swiftSettings: strict),
        .target(
            name: "CommandLine",
            dependencies: [
                "IssuerServer", "IssuerDomain", "NodeAgent", "NodeAttestation", "WorkloadAttestation", "VerifyServer",
                "WorkloadIdentity", "OutboundHTTP",
                "IssuerAPIProtos",
                "WorkloadAPIProtos", "HealthProtos",
                "Bootstrap", "SPIFFE", "Platform", "LinuxKernel", argumentParser, certificates, crypto, grpcCore,
                grpcHTTP2,
                grpcProtobuf, grpcInProcess, lifecycle, logging, protobuf, signals, yams,
            ], swiftSettings: strict),
        .executableTarget(name: "mintmark", dependencies: ["CommandLine"], swiftSettings: strict),

        // Examples.
        .executableTarget(
            name: "sample-agent", dependencies: ["WorkloadIdentity", "SPIFFE", certificates],
            path: "Sources/Examples/SampleAgent",
            swiftSettings: strict),
        .executableTarget(
            name: "example-grpc-service",
            dependencies: [
                "SPIFFE", "WorkloadIdentity", "WorkloadIdentityGRPC", grpcCore, grpcHTTP2, grpcProtobuf, protobuf,
            ],
            path: "Sources/Examples/GRPCService", exclude: ["proto"], swiftSettings: strict),
        .executableTarget(
            name: "example-http-service",
            dependencies: ["SPIFFE", "WorkloadIdentity", "WorkloadIdentityHummingbird", hummingbird, hummingbirdCore],
            path: "Sources/Examples/HTTPService", swiftSettings: strict),
        .executableTarget(
            name: "example-http-client",
            dependencies: [
                "SPIFFE", "WorkloadIdentity", "WorkloadIdentityAsyncHTTPClient", asyncHTTPClient, nioCore, nioHTTP1,
            ],
            path: "Sources/Examples/HTTPClient", swiftSettings: strict),

        // Tests.
        .target(
            name: "TestSupport",
            dependencies: [
                "IssuerDomain", "AgentDomain", "KeyStore", "SPIFFE", "Platform", certificates, crypto, logging,
            ],
            path: "Tests/TestSupport", swiftSettings: strict),
        .target(
            name: "StoreContract", dependencies: ["IssuerDomain", "SPIFFE", "Platform", "TestSupport", crypto],
            path: "Tests/StoreContract", swiftSettings: strict),
        // Compiled here so that it cannot fall behind; run by Tests/Fuzz/run, which compiles it once more.
        .target(
            name: "FuzzTargets",
            dependencies: [
                "LinuxKernel", "NodeAttestation", "Platform", "SPIFFE", "GRPCWire", asn1, certificates, crypto,
            ],
            path: "Tests/Fuzz/Targets",
            swiftSettings: strict),
        .testTarget(
            name: "SPIFFETests",
            dependencies: ["SPIFFE", "TestSupport", asn1, certificates, crypto, cryptoExtras], swiftSettings: strict),
        .testTarget(
            name: "WorkloadIdentityTests",
            dependencies: [
                "WorkloadIdentity", "WorkloadIdentityAsyncHTTPClient", "WorkloadIdentityGRPC",
                "WorkloadIdentityHummingbird", "WorkloadAPIProtos", "SPIFFE", "TestSupport", asn1,
                asyncHTTPClient, certificates, crypto, grpcCore, grpcHTTP2, grpcProtobuf, hummingbird, logging, nioCore,
                nioEmbedded, nioPosix,
                nioSSL,
                protobuf,
            ], swiftSettings: strict),
        .testTarget(
            name: "WorkloadIdentityAsyncHTTPClientTests",
            dependencies: [
                "SPIFFE", "TestSupport", "WorkloadIdentity", "WorkloadIdentityAsyncHTTPClient", asyncHTTPClient,
                certificates, nioCore, nioHTTP1, nioPosix, nioSSL,
            ], swiftSettings: strict),
        .testTarget(
            name: "WorkloadIdentityHummingbirdTests",
            dependencies: [
                "SPIFFE", "TestSupport", "WorkloadIdentity", "WorkloadIdentityHummingbird", certificates, crypto,
                httpTypes, hummingbird, hummingbirdCore, logging, nioCore, nioEmbedded, nioPosix, nioSSL,
            ], swiftSettings: strict),
        .testTarget(
            name: "WorkloadIdentityGRPCTests",
            dependencies: [
                "WorkloadIdentityGRPC", "WorkloadIdentity", "WorkloadAPIProtos", "SPIFFE", "TestSupport", certificates,
                crypto, grpcCore, grpcHTTP2, logging, nioCore, protobuf,
            ], swiftSettings: strict),
        .testTarget(
            name: "LocalGRPCTests",
            dependencies: ["LocalGRPC", "GRPCConnections", "TestSupport", grpcCore, grpcHTTP2, nioCore],
            swiftSettings: strict),
        .testTarget(
            name: "VerifyServerTests",
            dependencies: [
                "VerifyServer", "Platform", "SPIFFE", "TestSupport", "WorkloadIdentity", certificates, crypto,
                httpTypes, logging,
            ], swiftSettings: strict),
        .testTarget(name: "PlatformTests", dependencies: ["Platform", "TestSupport"], swiftSettings: strict),
        .testTarget(name: "LinuxKernelTests", dependencies: ["LinuxKernel", "Platform"], swiftSettings: strict),
        .testTarget(
            name: "WorkloadSocketTests",
            dependencies: ["WorkloadSocket", "GRPCWire", "LinuxKernel", "Platform", logging],
            swiftSettings: strict),
        .testTarget(
            name: "IssuerDomainTests",
            dependencies: [
                "IssuerDomain", "KeyStore", "StoreContract", "SPIFFE", "Platform", "TestSupport", asn1, certificates,
                crypto, cryptoExtras, logging,
            ],
            swiftSettings: strict),
        .testTarget(
            name: "AgentDomainTests", dependencies: ["AgentDomain", "SPIFFE", "Platform", "TestSupport"],
            swiftSettings: strict),
        .testTarget(
            name: "WorkloadAttestationTests",
            dependencies: ["WorkloadAttestation", "AgentDomain", "LinuxKernel", "SPIFFE", "Platform", crypto],
            swiftSettings: strict),
        .testTarget(
            name: "SQLiteStoreTests",
            dependencies: ["SQLiteStore", "StoreContract", "IssuerDomain", "SPIFFE", "Platform", "TestSupport", grdb],
            swiftSettings: strict),
        .testTarget(
            name: "RecordSpoolTests",
            dependencies: [
                "RecordSpool", "StoreContract", "IssuerDomain", "SPIFFE", "Platform", "TestSupport", logging,
            ],
            swiftSettings: strict),
        .testTarget(
            name: "NodeAttestationTests",
            dependencies: [
                "NodeAttestation", "OutboundHTTP", "SPIFFE", "Platform", "TestSupport", asn1, certificates, crypto,
                cryptoExtras,
            ], swiftSettings: strict),
        .testTarget(
            name: "KeyStoreTests",
            dependencies: [
                "KeyStore", "CPKCS11", "IssuerDomain", "SPIFFE", "Platform", "TestSupport", certificates, crypto,
            ],
            swiftSettings: strict),
        .testTarget(
            name: "UpstreamAuthoritiesTests",
            dependencies: [
                "UpstreamAuthorities", "IssuerDomain", "IssuerAPIProtos", "KeyStore", "SPIFFE", "Platform",
                "TestSupport", asn1, certificates, crypto, grpcCore, grpcHTTP2, grpcProtobuf, logging, protobuf,
            ], swiftSettings: strict),
        .testTarget(
            name: "BootstrapTests",
            dependencies: [
                "Bootstrap", "GRPCConnections", "SPIFFE", "Platform", "TestSupport", grpcCore, grpcHTTP2, logging,
                nioCore,
            ], swiftSettings: strict),
        .testTarget(
            name: "OutboundHTTPTests",
            dependencies: ["OutboundHTTP", "SPIFFE", "TestSupport", certificates, nioCore, nioPosix, nioSSL],
            swiftSettings: strict),
        .testTarget(
            name: "IssuerServerTests",
            dependencies: [
                "IssuerServer", "IssuerDomain", "IssuerAPIProtos", "NodeAttestation", "Bootstrap", "OutboundHTTP",
                "SPIFFE", "Platform", "StoreContract", "TestSupport",
                certificates, crypto, grpcCore, grpcHTTP2, grpcInProcess, grpcProtobuf, lifecycle, logging, protobuf,
            ], swiftSettings: strict),
        .testTarget(
            name: "NodeAgentTests",
            dependencies: [
                "NodeAgent", "AgentDomain", "WorkloadAttestation", "WorkloadSocket", "GRPCWire", "WorkloadAPIProtos",
                "Bootstrap",
                "IssuerAPIProtos", "LinuxKernel", "NodeAttestation", "Platform", "SPIFFE", "TestSupport", certificates,
                grpcCore,
                grpcInProcess, grpcProtobuf, logging, protobuf,
            ], swiftSettings: strict),
        .testTarget(
            name: "CommandLineTests",
            dependencies: [
                "CommandLine", "Bootstrap", "SPIFFE", "Platform", "IssuerAPIProtos", "WorkloadAPIProtos", "TestSupport",
                crypto, protobuf,
            ],
            swiftSettings: strict),

        // A journal and a guardian in processes of their own, for tests and measurements.
        .executableTarget(
            name: "journal-host", dependencies: ["WorkloadAttestation", "LinuxKernel"], path: "Tests/JournalHost",
            exclude: ["overhead"], swiftSettings: strict),

        // Benchmarks: run by hand, shipped to nobody.
        .target(name: "AllocationCount", path: "Tests/AllocationCount"),
        .executableTarget(
            name: "mintmark-bench",
            dependencies: [
                "AgentDomain", "AllocationCount", "LinuxKernel", "WorkloadAttestation",
                "IssuerDomain", "KeyStore", "SQLiteStore", "SPIFFE", "Platform", "WorkloadIdentity",
                "WorkloadAPIProtos", certificates, crypto, grpcCore, grpcHTTP2, logging, protobuf,
            ], path: "Tests/Benchmarks"),
    ]
)
