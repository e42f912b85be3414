import CommandLine
import IssuerAPIProtos
import SPIFFE
import SwiftProtobuf
import Testing

@Suite("What a declaration comes to, as shown")
struct ApplyRenderingTests {
    @Test("The counts are those of the whole plan, also of steps that did not fit into the answer")
    func counts() throws {
        let answer = Mintmark_V1_ApplyResponse.with {
            $0.steps = [
                .with {
                    $0.action = .create
                    $0.spiffeID = "spiffe://example.org/a"
                }
            ]
            ($0.creations, $0.updates, $0.deletions, $0.unchanged, $0.omitted) = (40, 3, 2, 7, 44)
        }
        let shown = ApplyRendering.rendering(answer, isDryRun: true)
        #expect(
            shown.table.split(separator: "\n") == [
                "+ spiffe://example.org/a", "… and 44 more steps",
                "40 to create, 3 to update, 2 to delete, 7 unchanged",
            ])
        let members = try #require(shown.value.object)
        #expect(members["created"] == .integer(40) && members["updated"] == .integer(3))
        #expect(members["deleted"] == .integer(2) && members["omitted"] == .integer(44))
    }
}
