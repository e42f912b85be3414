"""What stands in each field of each request: good values pass, bad ones are refused with the code that tools go by."""

from __future__ import annotations

import contextlib
import datetime
import os

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from google.protobuf.descriptor import FieldDescriptor

import callers
import inputs_bundles
import inputs_entries
import inputs_nodes
import inputs_operations
import inputs_svids
import stubs
from cast import ROLES, a_cast
from inputs import Case, World, Wrong, leaves, listed, numbers, put, split
from mintmark import sid

Code = grpc.StatusCode
CODES = {code.value[0]: code for code in Code}
CASES: dict[str, Case] = {}
for _table in (inputs_bundles, inputs_entries, inputs_nodes, inputs_operations, inputs_svids):
    assert not CASES.keys() & _table.CASES.keys()
    CASES |= _table.CASES
# One process asks for all of it.
LIMITS = {name: {"rate": 10_000, "burst": 10_000} for name in ("attestation", "signing", "reporting", "reading", "querying")}


# --- Servers --------------------------------------------------------------------------------------


def root(folder):
    """A new upstream root, in the files of the server that is below it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, os.urandom(4).hex())])
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(minutes=1))
        .not_valid_after(now + datetime.timedelta(days=9))
        .add_extension(x509.BasicConstraints(True, None), True)
        .add_extension(x509.KeyUsage(False, False, False, False, False, True, True, False, False), True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        .add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(sid(""))]), False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    (folder / "root.key").touch(mode=0o600)
    (folder / "root.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    (folder / "root.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


@pytest.fixture(scope="module")
def worlds(module_roles):
    """Makes the servers that cases need, each when the first asks for it."""
    made: dict[str, World] = {}
    with contextlib.ExitStack() as stack:

        def local_only(name, **settings):
            server = module_roles.server(name, **settings)
            return World(server, {"local": stack.enter_context(callers.admin(server))})

        def make(name):
            if name == "world":
                cast = stack.enter_context(a_cast(module_roles, limits=LIMITS))
                world = World(cast.server, dict(cast.callers), cast.node.id)
                # A node whose only business is to renew itself.
                identity, _ = callers.attest(cast["nobody"], cast.server.token())
                world.callers["renewing"] = stack.enter_context(
                    callers.remote(cast.server, cast.server.folder, identity)
                )
                return world
            if name == "spare":
                return local_only(name)
            if name == "careful":
                # Where two people must agree, nobody mints what holds a role.
                server = module_roles.server(name, roles=ROLES)
                with callers.admin(server) as local:
                    identity = callers.mint(local, sid("/authorities"))
                server.stop()
                server.settings["two_person"] = "on"
                server.start()
                world = World(server, {"local": stack.enter_context(callers.admin(server))})
                world.callers["authorities"] = stack.enter_context(
                    callers.remote(world.server, world.server.folder, identity)
                )
                return world
            assert name == "upstream"
            folder = module_roles.home
            root(folder)
            upstream = {
                "kind": "disk", "certificate_file": str(folder / "root.pem"), "key_file": str(folder / "root.key"),
            }  # fmt: skip
            world = local_only(name, upstream_authority=upstream)
            world.new_root = lambda: root(folder)
            return world

        def get(name):
            if name not in made:
                made[name] = make(name)
            return made[name]

        yield get


@pytest.fixture
def ask(worlds):
    """How a case's call with some messages ends: the first item's status, for a batch."""

    def ask(method, messages):
        case = CASES[method]
        try:
            answers = worlds(case.world).callers[case.by].call(method, *messages, enough=len(messages))
        except grpc.RpcError as error:
            return error.code()
        for answer in answers:
            names = {field.name for field in answer.DESCRIPTOR.fields}
            if "results" in names and answer.results:
                return CODES[answer.results[0].status.code]
            if "error_response" in names and answer.HasField("error_response"):
                return CODES[answer.error_response.error_code]
            if "problems" in names and answer.problems:
                return Code.INVALID_ARGUMENT
        return Code.OK

    return ask


# --- The tables are whole -----------------------------------------------------------------------------


def test_every_method_has_a_case():
    assert set(CASES) == set(stubs.METHODS)


@pytest.mark.parametrize("method", CASES)
def test_every_field_has_a_case(method):
    """Of every field but a yes or no, of which no value is bad, the tables say what is refused or that nothing is."""
    case, message = CASES[method], stubs.METHODS[method].input_type
    if case.ending == Code.UNIMPLEMENTED:
        assert "WIT" in method and not case.bad and not case.free
        return
    required = {path for path, field in leaves(message) if field.type != FieldDescriptor.TYPE_BOOL}
    told = {split(path)[1] for path in [*case.bad, *case.free]}
    assert required <= told, f"nothing is said of {sorted(required - told)}"
    assert not case.bad.keys() & case.free.keys()
    for path in told:
        numbers(message, path)


# --- What they say ------------------------------------------------------------------------------------


@pytest.mark.limit(60)
@pytest.mark.parametrize("method", CASES)
def test_a_good_request_passes(ask, worlds, method):
    case = CASES[method]
    assert ask(method, listed(case.good(worlds(case.world)))) == case.ending


@pytest.mark.limit(60)
@pytest.mark.parametrize("method", [method for method, case in CASES.items() if case.bad])
def test_bad_values_are_refused(ask, worlds, method):
    case = CASES[method]
    world = worlds(case.world)
    failures = []
    for path, values in case.bad.items():
        for number, value in enumerate(values):
            value = value(world) if callable(value) else value
            code = value.code if isinstance(value, Wrong) else case.code
            value = value.value if isinstance(value, Wrong) else value
            found = ask(method, put(listed((case.plain or case.good)(world)), path, value))
            if found != code:
                failures.append(f"{path}[{number}] = {str(value)[:60]!r}: {found.name} instead of {code.name}")
    assert not failures, "\n".join(["", *failures])


@pytest.mark.parametrize("method", [method for method, case in CASES.items() if case.free])
def test_values_that_say_nothing_wrong_pass(ask, worlds, method):
    case = CASES[method]
    failures = []
    for path, values in case.free.items():
        for value in values:
            found = ask(method, put(listed(case.good(worlds(case.world))), path, value))
            if found != Code.OK:
                failures.append(f"{path} = {str(value)[:60]!r}: {found.name}")
    assert not failures, "\n".join(["", *failures])


def varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def broken(message, path) -> list[bytes]:
    """Requests in which one field breaks off, or holds bytes that are no text."""
    *outer, field = numbers(message, path)
    if field.type in (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES, FieldDescriptor.TYPE_MESSAGE):
        tails = [varint(field.number << 3 | 2) + b"\x05ab"]
    else:
        tails = [varint(field.number << 3) + b"\x80", varint(field.number << 3) + b"\xff" * 11]
    if field.type == FieldDescriptor.TYPE_STRING:
        tails.append(varint(field.number << 3 | 2) + b"\x02\xff\xfe")
    made = []
    for tail in tails:
        for step in reversed(outer):
            tail = varint(step.number << 3 | 2) + varint(len(tail)) + tail
        made.append(tail)
    return made


@pytest.mark.parametrize("method", CASES)
def test_a_field_that_is_broken_on_the_wire_is_refused(worlds, method):
    """Also those of which every value is good."""
    case, message = CASES[method], stubs.METHODS[method].input_type
    caller = worlds(case.world).callers[case.by]
    for path, _ in leaves(message):
        for request in broken(message, path):
            code, _ = caller.ending(method, request, enough=100)
            assert code in (Code.INVALID_ARGUMENT, Code.INTERNAL), (path, request, code)
