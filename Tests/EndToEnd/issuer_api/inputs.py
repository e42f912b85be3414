"""What may and may not be in the fields of a request: how the tables of inputs_*.py are written, and what they are made of."""

from __future__ import annotations

import copy
import dataclasses
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from google.protobuf.descriptor import Descriptor, FieldDescriptor

import stubs
from callers import TIMEOUT, Caller, Identity
from hostile_agent import Authority
from mintmark import sid

Code = grpc.StatusCode
INVALID, MISSING = Code.INVALID_ARGUMENT, Code.NOT_FOUND
YEAR = 365 * 24 * 3600
# More than a header may hold: a refusal that repeats it does not arrive.
LONG = "x" * 20_000


@dataclasses.dataclass(frozen=True)
class Wrong:
    """A value that is refused with another code than its neighbours."""

    value: Any
    code: grpc.StatusCode


@dataclasses.dataclass(frozen=True)
class Case:
    """A method.

    A path names a field of the request, `a.b` the field `b` of the message `a` or of the first in a list of them; `@1.a` a
    field of the second message of a stream. A value that is a function is called with the world.
    """

    # The request, or the requests of a stream, that passes.
    good: Callable[[World], Any]
    # Values that are refused, in a request that is good otherwise.
    bad: dict[str, list[Any]] = dataclasses.field(default_factory=dict)
    # Values of fields that may hold anything; all of them pass.
    free: dict[str, list[Any]] = dataclasses.field(default_factory=dict)
    by: str = "local"
    code: grpc.StatusCode = INVALID
    # How a good request ends.
    ending: grpc.StatusCode = Code.OK
    # What bad values are put into, where a good request takes steps that they do not need.
    plain: Callable[[World], Any] | None = None
    # Which server.
    world: str = "world"


@dataclasses.dataclass
class World:
    """A server that the cases may change, each keeping out of the way of the others."""

    server: Any
    callers: dict[str, Caller]
    node: str = sid("/spire/agent/none/at-all")

    @property
    def local(self) -> Caller:
        return self.callers["local"]

    def token(self) -> str:
        """A join token, made now."""
        return self.local.agents.CreateJoinToken(stubs.agent.CreateJoinTokenRequest(ttl=600), timeout=TIMEOUT).value

    def entry(self, **changes: Any) -> Any:
        """An entry of the node, made now."""
        request = stubs.entry.BatchCreateEntryRequest(entries=[self.new_entry(**changes)])
        [result] = self.local.entries.BatchCreateEntry(request, timeout=TIMEOUT).results
        assert result.status.code == 0, result
        return result.entry

    def new_entry(self, **changes: Any) -> Any:
        """An entry of the node that breaks no rule and does not exist."""
        fields = {
            "spiffe_id": stubs.id_of(sid(f"/inputs/{uuid.uuid4().hex}")), "parent_id": stubs.id_of(self.node),
            "selectors": [stubs.types.Selector(type="unix", value="uid:4711")],
        }  # fmt: skip
        return stubs.types.Entry(**(fields | changes))


# --- Fields -----------------------------------------------------------------------------------------


def leaves(message: Descriptor, prefix: str = "") -> Iterator[tuple[str, FieldDescriptor]]:
    """Every field of a message, and of the messages in it, that holds a value; with its path."""
    for field in message.fields:
        path = prefix + field.name
        if field.message_type and not field.message_type.GetOptions().map_entry:
            yield from leaves(field.message_type, f"{path}.")
        else:
            yield path, field


def numbers(message: Descriptor, path: str) -> list[FieldDescriptor]:
    """The fields that a path goes through."""
    found = []
    for name in path.split("."):
        found.append(message.fields_by_name[name])
        message = found[-1].message_type
    return found


def split(path: str) -> tuple[int, str]:
    """Which message of a stream a path goes into, and the path in it."""
    if not path.startswith("@"):
        return 0, path
    number, _, rest = path[1:].partition(".")
    return int(number), rest


def put(messages: list[Any], path: str, value: Any) -> list[Any]:
    """Copies of the messages with one field changed; None takes the field away."""
    number, path = split(path)
    messages = copy.deepcopy(messages)
    *before, name = path.split(".")
    message = messages[number]
    for step in before:
        held = getattr(message, step)
        if hasattr(held, "add"):
            message = held[0] if held else held.add()
        else:
            held.SetInParent()
            message = held
    if value is None:
        message.ClearField(name)
    elif isinstance(value, list | dict):
        message.ClearField(name)
        held = getattr(message, name)
        held.update(value) if isinstance(value, dict) else held.extend(value)
    elif hasattr(value, "DESCRIPTOR"):
        getattr(message, name).CopyFrom(value)
    else:
        setattr(message, name, value)
    return messages


def under(prefix: str, table: dict[str, list[Any]]) -> dict[str, list[Any]]:
    return {f"{prefix}.{path}": values for path, values in table.items()}


def without(table: dict[str, list[Any]], *paths: str) -> dict[str, list[Any]]:
    assert set(paths) <= set(table)
    return {path: values for path, values in table.items() if path not in paths}


def listed(request: Any) -> list[Any]:
    return list(request) if isinstance(request, list | tuple) else [request]


# --- What fields are made of -------------------------------------------------------------------------

# Of an ID that must be one of this trust domain, with a path.
ID = {
    "trust_domain": ["", "UPPER.example", "a/b", "a..b/", "spiffe://example.org", "t" * 256, "T" * 20_000, "other.example"],
    "path": ["", "/", "a", "/a/", "/a//b", "/a/../b", "/./a", "/a b", "/ü", "/" + "a" * 2048, "b" * 20_000],
}
# Of any ID at all.
ANY_ID = {"trust_domain": ID["trust_domain"][:-1], "path": ID["path"][1:]}
SELECTOR = {"type": ["", "a:b", "a:" * 10_000], "value": [""]}
PAGE = {"page_size": [-1, -(2**31)], "page_token": ["~ no token ~", "\x00", LONG]}
MATCH = {"match": [4, -1], **under("selectors", SELECTOR)}


def csr(key: Any, *uris: str, names: tuple[str, ...] = ()) -> bytes:
    """A signing request of any key and any number of URIs."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    found = [x509.UniformResourceIdentifier(uri) for uri in uris] + [x509.DNSName(name) for name in names]
    if found:
        builder = builder.add_extension(x509.SubjectAlternativeName(found), critical=False)
    digest = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(key, digest).public_bytes(serialization.Encoding.DER)


def damaged(request: bytes) -> bytes:
    """The same with another signature."""
    changed = bytearray(request)
    changed[-3] ^= 1
    return bytes(changed)


def spki(key: Any) -> bytes:
    return key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


GOOD_KEY = ec.generate_private_key(ec.SECP256R1())
WEAK_KEYS = [rsa.generate_private_key(65537, 1024), ec.generate_private_key(ec.SECP224R1())]
OTHER_KEY = ed25519.Ed25519PrivateKey.generate()


def bad_requests(*uris: str) -> list[bytes]:
    """Signing requests that nobody gets anything for, whatever they are for."""
    return [
        b"", b"noise", b"\x30\x80\x00\x00", csr(GOOD_KEY, *uris)[:-1], csr(GOOD_KEY, *uris) + b"x",
        damaged(csr(GOOD_KEY, *uris)), *(csr(key, *uris) for key in WEAK_KEYS), bytes(20_000),
    ]  # fmt: skip


# Of a key of a JWT authority.
JWT_KEY = {
    "public_key": [b"", b"noise", *(spki(key) for key in [OTHER_KEY, *WEAK_KEYS]), spki(GOOD_KEY)[:-1]],
    "key_id": [""],
    "expires_at": [-1, -(2**63)],
}
# Of a certificate of an X.509 authority.
X509_AUTHORITY = {"asn1": [b"", b"noise", b"\x30\x03\x01", Authority("a.example").certificate[:-1], bytes(100_000)]}
# What stands in bundles and is passed over, because there are no WIT-SVIDs.
WIT_KEY = {"public_key": [b"noise"], "key_id": [LONG[:300]], "expires_at": [-1]}


def jwt_key(**changes: Any) -> Any:
    fields = {"key_id": uuid.uuid4().hex, "public_key": spki(GOOD_KEY), "expires_at": 2_000_000_000}
    return stubs.types.JWTKey(**(fields | changes))


def certificate(domain: str = "example.org") -> Any:
    return stubs.types.X509Certificate(asn1=Authority(domain).certificate)


def node_csr() -> bytes:
    return Identity().request()
