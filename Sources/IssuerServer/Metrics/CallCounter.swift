internal import GRPCCore
internal import IssuerDomain

/// Counts how calls end, before and behind everything that may refuse them.
struct CallCounter: ServerInterceptor {
    let table: MethodTable
    let counters: ServerCounters

    func intercept<Input: Sendable, Output: Sendable>(
        request: StreamingServerRequest<Input>, context: ServerContext,
        next:
            @Sendable (StreamingServerRequest<Input>, ServerContext) async throws -> StreamingServerResponse<Output>
    ) async throws -> StreamingServerResponse<Output> {
        let name = "\(context.descriptor)"
        // Callers can make up names; the table cannot.
        let method = table[name] == nil ? "other" : name
        do {
            var response = try await next(request, context)
            switch response.accepted {
            case .failure(let error): counters.ended(method, "\(error.code)")
            case .success(var contents):
                let producer = contents.producer
                contents.producer = { [counters] writer in
                    do {
                        let metadata = try await producer(writer)
                        counters.ended(method, "ok")
                        return metadata
                    } catch {
                        counters.ended(method, Self.code(of: error))
                        throw error
                    }
                }
                response.accepted = .success(contents)
            }
            return response
        } catch {
            counters.ended(method, Self.code(of: error))
            throw error
        }
    }

    private static func code(of error: any Error) -> String {
        switch error {
        case let error as RPCError: "\(error.code)"
        case let error as any RPCErrorConvertible: "\(error.rpcErrorCode)"
        case is CancellationError: "\(RPCError.Code.cancelled)"
        default: "\(RPCError.Code.unknown)"
        }
    }
}
