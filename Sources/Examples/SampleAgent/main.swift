internal import X509

// An agent in its smallest form: asks the workload endpoint who it is, and shows the answer.
//
// It knows nothing of Mintmark: any SPIFFE workload endpoint will do.

import Foundation
import SPIFFE
import WorkloadIdentity

struct Options {
    static let usage = """
        usage: sample-agent --audience NAME [--write DIR] [--output json]
               sample-agent --follow [--wait SECONDS]

        example: SPIFFE_ENDPOINT_SOCKET=unix:///run/mintmark/workload.sock sample-agent --audience my-service
        """

    var audience = ""
    var folder: String?
    var wantsJSON = false
    var follows = false
    var patience = 30

    init(_ arguments: [String]) {
        var rest = arguments[...]
        while let flag = rest.popFirst() {
            switch flag {
            case "--audience": audience = rest.popFirst() ?? ""
            case "--write": folder = rest.popFirst()
            case "--output": wantsJSON = rest.popFirst() == "json"
            case "--follow": follows = true
            case "--wait": patience = rest.popFirst().flatMap { Int($0) } ?? patience
            case "--help", "-h":
                print(Self.usage)
                exit(0)
            default: complain(Self.usage, status: 64)
            }
        }
        if audience.isEmpty && !follows { complain(Self.usage, status: 64) }
    }
}

func complain(_ text: String, status: Int32) -> Never {
    try? FileHandle.standardError.write(contentsOf: Data((text + "\n").utf8))
    exit(status)
}

func write(_ text: String, to path: String, mode: Int) throws {
    let created = FileManager.default.createFile(
        atPath: path, contents: Data(text.utf8), attributes: [.posixPermissions: mode])
    guard created else { throw CocoaError(.fileWriteUnknown) }
}

let options = Options(Array(CommandLine.arguments.dropFirst()))
do {
    if options.follows {
        try await follow(waitingAtMost: .seconds(options.patience))
        exit(0)
    }
    let client = try WorkloadAPIClient(environment: ProcessInfo.processInfo.environment)
    let update = try await client.fetchX509SVIDs()
    let tokens = try await client.fetchJWTSVIDs(audience: [options.audience])
    guard let svid = update.svids.first, let leaf = svid.certificates.first, let token = tokens.first else {
        complain("error: the endpoint sent nothing", status: 1)
    }
    if let folder = options.folder {
        try write(svid.privateKeyPEM, to: "\(folder)/svid.key", mode: 0o600)
        try write(try svid.certificates.map { try $0.pemText() }.joined(), to: "\(folder)/svid.pem", mode: 0o644)
        let authorities = update.bundles[svid.id.trustDomain]?.authorities ?? []
        try write(try authorities.map { try $0.pemText() }.joined(), to: "\(folder)/bundle.pem", mode: 0o644)
        try write(token.token, to: "\(folder)/token.jwt", mode: 0o600)
    }
    let expiry = leaf.notValidAfter.formatted(.iso8601)
    if options.wantsJSON {
        let object = ["spiffe_id": "\(svid.id)", "certificate_expires_at": expiry, "token": token.token]
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        print(String(decoding: try encoder.encode(object), as: UTF8.self))
    } else {
        print("SPIFFE ID    \(svid.id)")
        print("certificate  valid until \(expiry)")
        print("token        for \(options.audience), valid until \(token.expiry.formatted(.iso8601))")
    }
} catch let error as WorkloadAPIError where error.code == .noIdentity {
    complain("refused: \(error)", status: 1)
} catch {
    complain("error: \(error)", status: 1)
}
