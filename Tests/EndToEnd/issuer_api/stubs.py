"""The issuer's API as another toolchain understands it: Python stubs, generated from the protos when the tests begin."""

from __future__ import annotations

import importlib
import sys
import tempfile
from functools import cache
from pathlib import Path
from types import ModuleType

from grpc_tools import protoc

PROTOS = Path(__file__).parents[3] / "Sources" / "IssuerAPIProtos" / "proto"


@cache
def _generated() -> tempfile.TemporaryDirectory[str]:
    """A folder with the generated modules, on the path; it lasts as long as this process."""
    folder = tempfile.TemporaryDirectory(prefix="mm-stubs-")
    files = sorted(str(path) for path in PROTOS.rglob("*.proto"))
    assert files, f"no protos below {PROTOS}"
    arguments = ["protoc", f"--proto_path={PROTOS}", f"--python_out={folder.name}", f"--grpc_python_out={folder.name}"]
    # grpc_tools brings the protos of the well-known types with it.
    well_known = Path(protoc.__file__).parent / "_proto"
    assert protoc.main([*arguments, f"--proto_path={well_known}", *files]) == 0, "protoc refuses the protos"
    sys.path.insert(0, folder.name)
    return folder


def module(name: str) -> ModuleType:
    """A generated module, such as `spire.api.types.types_pb2`."""
    _generated()
    return importlib.import_module(name)


types = module("spire.api.types.types_pb2")
agent = module("spire.api.server.agent.v1.agent_pb2")
bundle = module("spire.api.server.bundle.v1.bundle_pb2")
entry = module("spire.api.server.entry.v1.entry_pb2")
svid = module("spire.api.server.svid.v1.svid_pb2")
trustdomain = module("spire.api.server.trustdomain.v1.trustdomain_pb2")

agent_grpc = module("spire.api.server.agent.v1.agent_pb2_grpc")
bundle_grpc = module("spire.api.server.bundle.v1.bundle_pb2_grpc")
entry_grpc = module("spire.api.server.entry.v1.entry_pb2_grpc")
svid_grpc = module("spire.api.server.svid.v1.svid_pb2_grpc")
trustdomain_grpc = module("spire.api.server.trustdomain.v1.trustdomain_pb2_grpc")

# Every service of the public API, by its full name, with the class of its stubs.
SERVICES = {
    "spire.api.server.agent.v1.Agent": agent_grpc.AgentStub,
    "spire.api.server.bundle.v1.Bundle": bundle_grpc.BundleStub,
    "spire.api.server.entry.v1.Entry": entry_grpc.EntryStub,
    "spire.api.server.svid.v1.SVID": svid_grpc.SVIDStub,
    "spire.api.server.trustdomain.v1.TrustDomain": trustdomain_grpc.TrustDomainStub,
}


def id_of(text: str) -> object:
    """A SPIFFE ID as the API writes it."""
    domain, slash, path = text.removeprefix("spiffe://").partition("/")
    return types.SPIFFEID(trust_domain=domain, path=slash + path)


def text_of(spiffe_id: object) -> str:
    return f"spiffe://{spiffe_id.trust_domain}{spiffe_id.path}"
