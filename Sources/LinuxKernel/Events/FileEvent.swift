/// What a fanotify group that reports file handles told of one file.
package struct FileEvent: Hashable, Sendable {
    /// The process, by the number of its first thread.
    package var process: Int32
    package var file: KernelFileHandle
    /// It was opened to be executed.
    package var isExecuted: Bool
    /// Someone who could not write to it has closed it.
    package var isClosed: Bool

    package init(process: Int32, file: KernelFileHandle, isExecuted: Bool, isClosed: Bool) {
        (self.process, self.file, self.isExecuted, self.isClosed) = (process, file, isExecuted, isClosed)
    }

    /// What a read from a group held.
    package struct Batch: Hashable, Sendable {
        package var events: [FileEvent] = []
        /// The group's queue was full, or what the kernel wrote cannot be read.
        package var lost = false

        package init() {}
    }

    private static let metadataSize = 24
    private static let overflow: UInt64 = 0x4000
    private static let openedToExecute: UInt64 = 0x1000
    private static let closedUnwritten: UInt64 = 0x10

    /// Reads events one after the other: `struct fanotify_event_metadata` with a record of a file handle.
    package static func read(_ bytes: ArraySlice<UInt8>) -> Batch {
        var batch = Batch()
        var start = bytes.startIndex
        while start < bytes.endIndex {
            let rest = KernelBytes(bytes[start...])
            guard let length: UInt32 = rest.number(at: 0), let length = Int(exactly: length), length >= metadataSize,
                let event = rest.part(at: 0, count: length), let version: UInt8 = rest.number(at: 4), version == 3,
                let head: UInt16 = rest.number(at: 6), Int(head) >= metadataSize, Int(head) <= length,
                let mask: UInt64 = rest.number(at: 8)
            else {
                batch.lost = true
                return batch
            }
            start += length
            guard mask & overflow == 0 else {
                batch.lost = true
                continue
            }
            // A process outside our PID namespace has no number; without one nothing can be said of it.
            guard let process = KernelBytes(event).processID(at: 20) else { continue }
            guard let handle = KernelFileHandle(records: event[(event.startIndex + Int(head))...]) else {
                batch.lost = true
                continue
            }
            batch.events.append(
                FileEvent(
                    process: process, file: handle, isExecuted: mask & openedToExecute != 0,
                    isClosed: mask & closedUnwritten != 0))
        }
        return batch
    }
}

/// A file as its file system names it for good: the handle of name_to_handle_at(2) and the file system's id.
package struct KernelFileHandle: Hashable, Sendable {
    package let fileSystem: UInt64
    package let type: UInt32
    package let bytes: [UInt8]

    package init(fileSystem: UInt64, type: UInt32, bytes: [UInt8]) {
        (self.fileSystem, self.type, self.bytes) = (fileSystem, type, bytes)
    }

    /// The longest handle the kernel makes (MAX_HANDLE_SZ).
    static let longest = 128

    /// Finds the one of the event's information records that holds a handle of the file itself.
    init?(records: ArraySlice<UInt8>) {
        var start = records.startIndex
        while start < records.endIndex {
            let rest = KernelBytes(records[start...])
            guard let kind: UInt8 = rest.number(at: 0), let length: UInt16 = rest.number(at: 2), length >= 4,
                let record = rest.part(at: 0, count: Int(length))
            else { return nil }
            start += Int(length)
            // FAN_EVENT_INFO_TYPE_FID
            guard kind == 1 else { continue }
            let body = KernelBytes(record)
            guard let fileSystem: UInt64 = body.number(at: 4), let count: UInt32 = body.number(at: 12),
                let type: UInt32 = body.number(at: 16), count <= Self.longest,
                let bytes = body.part(at: 20, count: Int(count))
            else { return nil }
            self.init(fileSystem: fileSystem, type: type, bytes: Array(bytes))
            return
        }
        return nil
    }
}
