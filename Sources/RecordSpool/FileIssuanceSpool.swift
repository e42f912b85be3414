internal import Glibc
package import IssuerDomain
package import Logging
package import Platform
internal import Synchronization

/// The spool as files in a folder of its own, one for each segment, written by `write` alone and read back whole.
///
/// A record is framed by its length and a checksum. What a power cut left behind of a frame ends the segment; all before
/// it is kept.
package final class FileIssuanceSpool: IssuanceSpool {
    /// What a segment may come to before the next one begins: one transaction of the store's.
    package static let segmentSize = 256 << 10
    /// What may wait in all; then nothing more is taken, and so nothing issued.
    package static let maximumSize = 512 << 20

    private struct State {
        /// Of the segment that is being written; nil while there is none.
        var descriptor: Int32?
        /// Of the segment that is being written, or that would be next.
        var number: UInt64
        var size = 0
        /// Those that have ended, oldest first, and the bytes that each has.
        var ended: [(number: UInt64, size: Int)] = []
        var waiting = 0
        var buffer: [UInt8] = []
    }

    private let folder: String
    private let limit: Int
    private let files: any FileSystem
    private let logger: Logger
    private let state: Mutex<State>

    /// Opens a spool, with what an earlier process left in it.
    ///
    /// - Parameters:
    ///   - folder: Where the files are; made readable by its owner alone.
    ///   - last: The number of the last segment that the store has; older files are removed.
    ///   - limit: Bytes that may wait.
    ///   - files: For all but the writing.
    ///   - logger: For files that are damaged.
    /// - Throws: ``StoreError``.
    package init(
        folder: String, after last: UInt64, limit: Int = maximumSize, files: any FileSystem, logger: Logger
    ) throws(StoreError) {
        (self.folder, self.limit, self.files, self.logger) = (folder, limit, files, logger)
        var state = State(number: last + 1)
        do throws(FileSystemError) {
            try files.createDirectory(folder, mode: 0o700)
            for name in try files.names(in: folder) {
                guard let number = SegmentName.number(in: name) else { continue }
                let path = "\(folder)/\(name)"
                guard number > last else {
                    try files.remove(path)
                    continue
                }
                let size = try files.read(path, limit: limit)?.count ?? 0
                state.ended.append((number, size))
                state.waiting += size
                state.number = max(state.number, number + 1)
            }
        } catch { throw Self.failure(error) }
        state.ended.sort { $0.number < $1.number }
        self.state = Mutex(state)
    }

    deinit {
        state.withLock { if let descriptor = $0.descriptor { close(descriptor) } }
    }

    package func append(_ records: [IssuanceRecord]) throws(StoreError) {
        try state.withLock { state throws(StoreError) in
            state.buffer.removeAll(keepingCapacity: true)
            for record in records { Frame.append(record, to: &state.buffer) }
            guard state.waiting + state.size + state.buffer.count <= limit else {
                throw .full(detail: "\(folder) holds all that may wait for the database")
            }
            if state.descriptor == nil { try begin(&state) }
            try write(&state)
            if state.size >= Self.segmentSize { end(&state) }
        }
    }

    package func seal() -> [UInt64] {
        state.withLock { state in
            end(&state)
            return state.ended.map(\.number)
        }
    }

    package func records(in segment: UInt64) throws(StoreError) -> [IssuanceRecord] {
        let path = path(of: segment)
        let bytes: [UInt8]?
        do throws(FileSystemError) { bytes = try files.read(path, limit: limit) } catch { throw Self.failure(error) }
        guard let bytes else { throw Self.failure("read", path, code: ENOENT) }
        let (records, isWhole) = Frame.records(in: bytes)
        guard !isWhole else { return records }
        // Kept for whoever wants to look; what could be read goes to the store.
        let aside = "\(path).damaged"
        logger.error(
            "issuance records are damaged: what is before the damage was kept",
            metadata: ["file": "\(aside)", "records": "\(records.count)"])
        link(path, aside)
        return records
    }

    package func remove(_ segment: UInt64) throws(StoreError) {
        let path = path(of: segment)
        do throws(FileSystemError) { try files.remove(path) } catch { throw Self.failure(error) }
        state.withLock { state in
            guard let index = state.ended.firstIndex(where: { $0.number == segment }) else { return }
            state.waiting -= state.ended.remove(at: index).size
        }
    }

    package func flush() throws(StoreError) {
        for number in state.withLock({ $0.ended.map(\.number) }) {
            let path = path(of: number)
            let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
            guard descriptor >= 0 else { throw Self.failure("flush", path) }
            defer { close(descriptor) }
            guard fdatasync(descriptor) == 0 else { throw Self.failure("flush", path) }
        }
        let descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw Self.failure("flush", folder) }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw Self.failure("flush", folder) }
    }

    private func begin(_ state: inout State) throws(StoreError) {
        let path = path(of: state.number)
        let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw Self.failure("create", path) }
        state.descriptor = descriptor
    }

    /// Writes all or nothing: what a full disk took of a frame is cut off again, and if that fails, nothing is added
    /// behind it.
    private func write(_ state: inout State) throws(StoreError) {
        guard let descriptor = state.descriptor else { return }
        var written = 0
        while written < state.buffer.count {
            let count = state.buffer[written...].withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count > 0 { written += count }
            if count > 0 || count < 0 && errno == EINTR { continue }
            let failure = Self.failure("write", path(of: state.number))
            if written > 0, ftruncate(descriptor, off_t(state.size)) != 0 { end(&state) }
            throw failure
        }
        state.size += state.buffer.count
    }

    private func end(_ state: inout State) {
        guard let descriptor = state.descriptor else { return }
        close(descriptor)
        state.ended.append((state.number, state.size))
        state.waiting += state.size
        (state.descriptor, state.size, state.number) = (nil, 0, state.number + 1)
    }

    private func path(of segment: UInt64) -> String { "\(folder)/\(SegmentName.name(of: segment))" }

    private static func failure(_ operation: String, _ path: String, code: Int32 = errno) -> StoreError {
        failure(
            FileSystemError(operation, path, code: code, reason: String(cString: strerror(code)).lowercased()))
    }

    private static func failure(_ error: FileSystemError) -> StoreError {
        switch error.code {
        case ENOSPC, EDQUOT, EFBIG: .full(detail: "\(error)")
        case EROFS: .readOnly(detail: "\(error)")
        default: .failed(detail: "\(error)")
        }
    }
}
