import GRPCCore
import GRPCProtobuf
import GRPCWire
import NodeAgent
import Testing

@Suite("What a refused caller is told")
struct CallRefusalTests {
    @Test("For want of an identity exactly the text that clients look for (SP-01)", arguments: CallRefusal.allCases)
    func codes(_ refusal: CallRefusal) {
        let status = refusal.status()
        switch refusal {
        case .noEntry, .assuranceTooLow:
            #expect(status.code == .permissionDenied)
            #expect(status.message == "no identity issued")
        case .processChanged, .notAttested, .overBudget, .notReady:
            #expect(status.code == .unavailable)
            #expect(status.message != "no identity issued")
        }
    }

    @Test("The class is google.rpc.ErrorInfo, and nothing is beside it", arguments: CallRefusal.allCases)
    func details(_ refusal: CallRefusal) throws {
        let status = refusal.status()
        let details = try GoogleRPCStatus(serializedBytes: status.details)
        #expect(details.code.rawValue == Int(status.code.rawValue))
        #expect(details.message == status.message)
        #expect(details.details.count == 1)
        let info = try #require(details.details.first?.errorInfo)
        #expect(info.reason == refusal.rawValue)
        #expect(info.domain == "mintmark")
        #expect(info.metadata.isEmpty)
    }

    @Test("Another text takes the place of the usual one in both")
    func text() throws {
        let status = CallRefusal.notReady.status("soon")
        #expect(status.message == "soon")
        #expect(try GoogleRPCStatus(serializedBytes: status.details).message == "soon")
    }

    @Test("Classes are told apart, and are spelt as google.rpc asks")
    func names() {
        let names = CallRefusal.allCases.map(\.rawValue)
        #expect(Set(names).count == names.count)
        for name in names {
            #expect(name.utf8.allSatisfy { (65...90).contains($0) || $0 == UInt8(ascii: "_") }, "\(name)")
            #expect(name.utf8.count <= 63)
        }
    }
}
