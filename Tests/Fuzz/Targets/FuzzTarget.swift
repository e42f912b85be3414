/// What is fuzzed, by the name that the executable is started under.
///
/// To add one: a case here, an enum with `judge` that notices a flaw, inputs and their dictionary, and a line in each
/// of the tables of `Tests/Fuzz/run`.
enum FuzzTarget: String, CaseIterable {
    case identity, endpoint, certificate, revocation, token, bundle, json, proc, events, http2, hpack, ssh, tpm
    case privateKey = "private-key"

    /// Changes an input by the structure that this target looks for; nil where it looks for none, or there is none.
    func change(_ input: [UInt8], _ seed: UInt32, _ changeBytes: @escaping ([UInt8]) -> [UInt8]) -> [UInt8]? {
        switch self {
        case .certificate, .revocation, .privateKey:
            var mutation = DERMutation(seed: seed, changeBytes: changeBytes)
            return mutation.change(input)
        case .token, .bundle, .json:
            var mutation = JSONMutation(seed: seed, changeBytes: changeBytes)
            return mutation.change(input)
        case .identity, .endpoint, .proc, .events, .http2, .hpack, .ssh, .tpm: return nil
        }
    }

    /// Hands an input to the code under test, and ends the process when a property does not hold.
    func judge(_ input: [UInt8], flaw: Flaw?) {
        switch self {
        case .identity: IdentityTarget.judge(input, flaw: flaw)
        case .endpoint: EndpointTarget.judge(input, flaw: flaw)
        case .certificate: CertificateTarget.judge(input, flaw: flaw)
        case .revocation: RevocationTarget.judge(input, flaw: flaw)
        case .privateKey: PrivateKeyTarget.judge(input, flaw: flaw)
        case .token: TokenTarget.judge(input, flaw: flaw)
        case .bundle: BundleTarget.judge(input, flaw: flaw)
        case .json: JSONTarget.judge(input, flaw: flaw)
        case .http2: HTTP2Target.judge(input, flaw: flaw)
        case .hpack: HPACKTarget.judge(input, flaw: flaw)
        case .proc: ProcTarget.judge(input, flaw: flaw)
        case .events: EventsTarget.judge(input, flaw: flaw)
        case .ssh: SSHTarget.judge(input, flaw: flaw)
        case .tpm: TPMTarget.judge(input, flaw: flaw)
        }
    }
}

/// Ends the process, which libFuzzer takes for a crash, unless the property holds.
func claim(
    _ holds: Bool, _ property: @autoclosure () -> String, file: StaticString = #fileID, line: UInt = #line
) {
    if !holds { broken(property(), file: file, line: line) }
}

/// Ends the process because a property does not hold.
func broken(_ property: String, file: StaticString = #fileID, line: UInt = #line) -> Never {
    // Not a precondition: those lose their text in an optimised build.
    fatalError("property broken: \(property)", file: file, line: line)
}
