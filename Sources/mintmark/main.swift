import CommandLine
import Foundation

exit(await EntryPoint.run(Array(ProcessInfo.processInfo.arguments.dropFirst())))
