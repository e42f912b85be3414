internal import GRPCCore
internal import IssuerAPIProtos
internal import SwiftProtobuf

/// `grpc.reflection.v1alpha.ServerReflection`.
struct ReflectionV1alpha: Grpc_Reflection_V1alpha_ServerReflection.SimpleServiceProtocol {
    let access: AccessControl
    let schema: ServedSchema

    func serverReflectionInfo(
        request: RPCAsyncSequence<Grpc_Reflection_V1alpha_ServerReflectionRequest, any Error>,
        response: RPCWriter<Grpc_Reflection_V1alpha_ServerReflectionResponse>, context: ServerContext
    ) async throws {
        try access.requireLocal(context)
        for try await question in request {
            try await response.write(
                .with {
                    $0.validHost = question.host
                    $0.originalRequest = question
                    $0.messageResponse = answer(question)
                })
        }
    }

    private func answer(
        _ question: Grpc_Reflection_V1alpha_ServerReflectionRequest
    ) -> Grpc_Reflection_V1alpha_ServerReflectionResponse.OneOf_MessageResponse {
        switch question.messageRequest {
        case .listServices?:
            .listServicesResponse(.with { $0.service = schema.services.map { name in .with { $0.name = name } } })
        case .fileByFilename(let name)?: file(schema.file(named: name), name)
        case .fileContainingSymbol(let symbol)?: file(schema.file(declaring: symbol), symbol)
        case .fileContainingExtension(let question)?: missing("no extension of \(question.containingType.prefix(255))")
        case .allExtensionNumbersOfType(let type)?:
            schema.file(declaring: type) == nil
                ? missing(type) : .allExtensionNumbersResponse(.with { $0.baseTypeName = type })
        case nil:
            .errorResponse(
                .with {
                    $0.errorCode = Int32(RPCError.Code.invalidArgument.rawValue)
                    $0.errorMessage = "the request asks nothing"
                })
        }
    }

    private func file(
        _ file: ServedSchema.File?, _ name: String
    ) -> Grpc_Reflection_V1alpha_ServerReflectionResponse.OneOf_MessageResponse {
        guard let file else { return missing(name) }
        return .fileDescriptorResponse(.with { $0.fileDescriptorProto = schema.withImports(file) })
    }

    private func missing(
        _ what: String
    ) -> Grpc_Reflection_V1alpha_ServerReflectionResponse.OneOf_MessageResponse {
        .errorResponse(
            .with {
                $0.errorCode = Int32(RPCError.Code.notFound.rawValue)
                $0.errorMessage = "nothing here is called \(what.prefix(255))"
            })
    }
}
