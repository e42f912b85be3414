internal import Bootstrap
internal import Foundation
internal import IssuerAPIProtos
internal import IssuerDomain
internal import Logging
internal import Platform
internal import SPIFFE
internal import Synchronization

/// Keeps entries what the files of a folder say.
///
/// The folder is looked at every other second. Files that are still being written are left alone until they stay the same
/// between two looks. When anything is wrong with any of them, nothing changes, and the log and the health say so.
final class WatchedFolder: Sendable {
    /// Who keeps the entries.
    static let keeper = "entries-folder"
    private static let pause = Duration.seconds(2)

    private struct State {
        /// What was seen at the last look.
        var seen: [Document]?
        /// What was applied last, and the revision that the index had then.
        var applied: [Document]?
        var revision: UInt64 = 0
        var complaint: String?
    }

    private struct Document: Hashable {
        let name: String
        let text: String
    }

    private let path: String
    private let declarer: Declarer
    /// Where entries stand that name no parent: whichever node comes first must not get what was meant for others.
    private let parent: SPIFFEID?
    private let files: any FileSystem
    private let logger: Logger
    private let state = Mutex(State())

    init(
        _ path: String, declarer: Declarer, parent: SPIFFEID?, files: any FileSystem, logger: Logger
    ) {
        (self.path, self.declarer, self.parent, self.files) = (path, declarer, parent, files)
        self.logger = logger
    }

    /// Whether entries are what the files say.
    var isSound: Bool { state.withLock { $0.complaint == nil } }

    /// Looks again and again until cancelled.
    func run() async throws {
        while true {
            await look()
            try await declarer.clock.sleep(for: Self.pause)
        }
    }

    /// Looks once, and applies what has come to rest.
    func look() async {
        let documents: [Document]
        do throws(Failure) { documents = try read() } catch { return complain(error.message) }
        let revision = declarer.entries.read { $0.revision }
        let isDue = state.withLock { state in
            defer { state.seen = documents }
            guard state.seen == documents else { return false }
            return state.applied != documents || state.revision != revision || state.complaint != nil
        }
        guard isDue else { return }
        await apply(documents)
    }

    private func apply(_ documents: [Document]) async {
        var reader = ManifestReader(trustDomain: declarer.entries.trustDomain, defaultParent: parent)
        for document in documents { reader.read(document.text, named: document.name) }
        do throws(StoreError) {
            let answer = try await declarer.apply(
                reader, keeper: Self.keeper, prunes: true, adopts: false, isDryRun: false, expecting: nil)
            guard answer.applied else {
                let problems = answer.problems.map { "\($0.source): \($0.message)" }
                return complain(problems.prefix(8).joined(separator: "; "))
            }
            settle(documents, answer)
        } catch { complain("\(error)") }
    }

    private func settle(_ documents: [Document], _ answer: Mintmark_V1_ApplyResponse) {
        let revision = declarer.entries.read { $0.revision }
        let wasBroken = state.withLock { state in
            defer { (state.applied, state.revision, state.complaint) = (documents, revision, nil) }
            return state.complaint != nil
        }
        guard wasBroken || !answer.steps.isEmpty else { return }
        logger.info(
            "entries folder applied",
            metadata: ["folder": "\(path)", "changed": "\(answer.steps.count)", "unchanged": "\(answer.unchanged)"])
        for finding in answer.findings {
            logger.warning(
                "entries folder: \(finding.kind)",
                metadata: ["entries": "\(finding.entries.joined(separator: ", "))", "warning": "\(finding.message)"])
        }
    }

    /// Says it once, not at each look.
    private func complain(_ reason: String) {
        let isNews = state.withLock { state in
            defer { state.complaint = reason }
            return state.complaint != reason
        }
        guard isNews else { return }
        logger.error(
            "entries folder not applied; entries stay as they are",
            metadata: ["folder": "\(path)", "error": "\(reason)"])
    }

    /// - Throws: ``Failure`` when there is nothing to read: a folder that is gone must not take its entries with it.
    private func read() throws(Failure) -> [Document] {
        let paths = try EntryFiles.list(path, files: files)
        guard !paths.isEmpty, paths != [path] else {
            throw Failure(.refused, "the folder is missing, is a file, or holds no .yaml, .yml or .json file")
        }
        guard paths.count <= ManifestReader.maximumDocuments else {
            throw Failure(.refused, "it holds more than \(ManifestReader.maximumDocuments) files")
        }
        var documents: [Document] = []
        var room = ManifestReader.maximumBytes
        for path in paths {
            let contents: [UInt8]?
            do throws(FileSystemError) { contents = try files.read(path, limit: room) } catch {
                throw Failure(.refused, "\(error)")
            }
            guard let contents, let text = String(validating: contents, as: UTF8.self) else {
                throw Failure(.refused, "\(path) cannot be read as UTF-8 text")
            }
            room -= contents.count
            documents.append(Document(name: path, text: text))
        }
        return documents
    }
}
