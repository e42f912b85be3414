"""The issuer's API as another toolchain understands it: Python stubs, generated from the protos when the tests begin."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import tempfile
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from google.protobuf import message_factory
from grpc_health.v1 import health_pb2 as health
from grpc_tools import protoc

PROTOS = Path(__file__).parents[3] / "Sources" / "IssuerAPIProtos" / "proto"


@cache
def _generated() -> tempfile.TemporaryDirectory[str]:
    """A folder with the generated modules, on the path; it lasts as long as this process."""
    folder = tempfile.TemporaryDirectory(prefix="mm-stubs-")
    files = [str(path) for path in _files()]
    arguments = ["protoc", f"--proto_path={PROTOS}", f"--python_out={folder.name}", f"--grpc_python_out={folder.name}"]
    # grpc_tools brings the protos of the well-known types with it.
    well_known = Path(protoc.__file__).parent / "_proto"
    assert protoc.main([*arguments, f"--proto_path={well_known}", *files]) == 0, "protoc refuses the protos"
    sys.path.insert(0, folder.name)
    return folder


def _files() -> list[Path]:
    """Every proto of ours, but for those of server reflection, which grpcio's own package brings."""
    files = sorted(path for path in PROTOS.rglob("*.proto") if path.relative_to(PROTOS).parts[0] != "grpc")
    assert files, f"no protos below {PROTOS}"
    return files


def module(name: str) -> ModuleType:
    """A generated module, such as `spire.api.types.types_pb2`."""
    folder = _generated().name
    if not name.startswith("mintmark."):
        return importlib.import_module(name)
    # These tests have a module of that name themselves.
    return _loaded(name, Path(folder).joinpath(*name.split(".")).with_suffix(".py"))


def _loaded(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name.replace(".", "_"), path)
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


types = module("spire.api.types.types_pb2")
agent = module("spire.api.server.agent.v1.agent_pb2")
bundle = module("spire.api.server.bundle.v1.bundle_pb2")
debug = module("spire.api.server.debug.v1.debug_pb2")
entry = module("spire.api.server.entry.v1.entry_pb2")
localauthority = module("spire.api.server.localauthority.v1.localauthority_pb2")
logger = module("spire.api.server.logger.v1.logger_pb2")
svid = module("spire.api.server.svid.v1.svid_pb2")
trustdomain = module("spire.api.server.trustdomain.v1.trustdomain_pb2")

access = module("mintmark.v1.access_pb2")
declarations = module("mintmark.v1.declarations_pb2")
digests = module("mintmark.v1.digests_pb2")
entries = module("mintmark.v1.entries_pb2")
federation = module("mintmark.v1.federation_pb2")
incidents = module("mintmark.v1.incidents_pb2")
issuance = module("mintmark.v1.issuance_pb2")
nodes = module("mintmark.v1.nodes_pb2")
propagation = module("mintmark.v1.propagation_pb2")

agent_grpc = module("spire.api.server.agent.v1.agent_pb2_grpc")
bundle_grpc = module("spire.api.server.bundle.v1.bundle_pb2_grpc")
entry_grpc = module("spire.api.server.entry.v1.entry_pb2_grpc")
svid_grpc = module("spire.api.server.svid.v1.svid_pb2_grpc")
trustdomain_grpc = module("spire.api.server.trustdomain.v1.trustdomain_pb2_grpc")


def _reflection(version: str) -> ModuleType:
    """Server reflection in a version; the two differ in nothing but their package."""
    from grpc_reflection.v1alpha import reflection_pb2

    if version == "v1alpha":
        return reflection_pb2
    # grpcio's package has the older one alone.
    folder = tempfile.mkdtemp(prefix="mm-stubs-", dir=_generated().name)
    path = PROTOS / "grpc" / "reflection" / version / "reflection.proto"
    assert protoc.main(["protoc", f"--proto_path={PROTOS}", f"--python_out={folder}", str(path)]) == 0
    return _loaded(f"reflection_{version}", Path(folder) / "grpc" / "reflection" / version / "reflection_pb2.py")


reflection, reflection_alpha = _reflection("v1"), _reflection("v1alpha")

_MODULES = [
    agent, bundle, debug, entry, localauthority, logger, svid, trustdomain,
    access, declarations, digests, entries, federation, incidents, issuance, nodes, propagation,
    health, reflection, reflection_alpha,
]  # fmt: skip
# Every service of the public API, by its full name.
SERVICES = {
    service.full_name: service for module in _MODULES for service in module.DESCRIPTOR.services_by_name.values()
}
# Every method, as `package.Service/Method`.
METHODS = {f"{name}/{method.name}": method for name, service in SERVICES.items() for method in service.methods}


def proto_services() -> set[str]:
    """The services that our protos declare, read by another compiler and not by way of this list."""
    from google.protobuf import descriptor_pb2

    well_known = Path(protoc.__file__).parent / "_proto"
    with tempfile.NamedTemporaryFile() as file:
        everything = sorted(str(path) for path in PROTOS.rglob("*.proto"))
        arguments = ["protoc", f"--proto_path={PROTOS}", f"--proto_path={well_known}", f"--descriptor_set_out={file.name}"]
        assert protoc.main([*arguments, *everything]) == 0
        found = descriptor_pb2.FileDescriptorSet.FromString(Path(file.name).read_bytes())
    return {f"{one.package}.{service.name}" for one in found.file for service in one.service}


def request_of(method: str) -> Any:
    """The class of a method's request."""
    return message_factory.GetMessageClass(METHODS[method].input_type)


def response_of(method: str) -> Any:
    return message_factory.GetMessageClass(METHODS[method].output_type)


def id_of(text: str) -> object:
    """A SPIFFE ID as the API writes it."""
    domain, slash, path = text.removeprefix("spiffe://").partition("/")
    return types.SPIFFEID(trust_domain=domain, path=slash + path)


def text_of(spiffe_id: object) -> str:
    return f"spiffe://{spiffe_id.trust_domain}{spiffe_id.path}"
