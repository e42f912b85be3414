"""Who calls the issuer: an admin on the local socket, a node with an SVID, or anyone over TLS."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

import stubs
from mintmark import Server
from peers import TLSTunnel, trusting_context

# No call of these tests takes longer; a server that falls silent must not hold them up.
TIMEOUT = 15.0


class Caller:
    """The API's services over one connection."""

    def __init__(self, target: str) -> None:
        self.channel = grpc.insecure_channel(
            target, options=[("grpc.use_local_subchannel_pool", 1), ("grpc.enable_http_proxy", 0)]
        )
        self.agents = stubs.agent_grpc.AgentStub(self.channel)
        self.bundles = stubs.bundle_grpc.BundleStub(self.channel)
        self.entries = stubs.entry_grpc.EntryStub(self.channel)
        self.svids = stubs.svid_grpc.SVIDStub(self.channel)
        self.trust_domains = stubs.trustdomain_grpc.TrustDomainStub(self.channel)

    def close(self) -> None:
        self.channel.close()

    def __enter__(self) -> Caller:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- Answers ----------------------------------------------------------------------------------

    def ending(self, method: str, *requests: Any, enough: int = 1) -> tuple[grpc.StatusCode, str]:
        """How a call of any method ends, whatever its kind; the method as `package.Service/Method`."""
        try:
            self.call(method, *requests, enough=enough)
        except grpc.RpcError as error:
            return error.code(), error.details()
        return grpc.StatusCode.OK, ""

    def call(self, method: str, *requests: Any, enough: int = 1, headers: Any = ()) -> list[Any]:
        """Calls any method with messages or their bytes; an empty one where none is given.

        - Returns: The answers; of a stream that goes on, as many as are enough.
        - Raises: `grpc.RpcError` when it ends otherwise before.
        """
        answer = stubs.response_of(method).FromString if method in stubs.METHODS else None
        messages = [one if isinstance(one, bytes) else one.SerializeToString() for one in requests or (b"",)]
        call = self.channel.stream_stream(f"/{method}", response_deserializer=answer)(
            iter(messages), timeout=TIMEOUT, metadata=headers
        )
        answers = []
        for message in call:
            answers.append(message)
            # Of a call that has one answer the end counts, which may yet be a bad one.
            if method in stubs.METHODS and stubs.METHODS[method].server_streaming and len(answers) == enough:
                call.cancel()
                break
        return answers


def admin(server: Any) -> Caller:
    """A process of the server's own machine that may open its admin socket."""
    return Caller(f"unix:{server.admin_socket}")


@contextlib.contextmanager
def remote(server: Server, folder: Path, identity: Identity | None = None) -> Iterator[Caller]:
    """Somebody over TLS: with the SVID of an identity, or with no certificate at all."""
    context: ssl.SSLContext = trusting_context()
    if identity:
        identity.load_into(context, folder)
    with TLSTunnel(folder, server.port, context) as path, Caller(f"unix:{path}") as caller:
        yield caller


class Identity:
    """A key, and the X.509-SVID that the issuer signed for it."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.chain: list[bytes] = []

    def request(self, uri: str | None = None, dns: tuple[str, ...] = ()) -> bytes:
        """A PKCS#10 request for the key, DER."""
        builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
        names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(uri)] if uri else []
        names += [x509.DNSName(name) for name in dns]
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)

    @property
    def leaf(self) -> x509.Certificate:
        return x509.load_der_x509_certificate(self.chain[0])

    @property
    def id(self) -> str:
        names = self.leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        [uri] = names.get_values_for_type(x509.UniformResourceIdentifier)
        return uri

    def load_into(self, context: ssl.SSLContext, folder: Path) -> None:
        certificates = [x509.load_der_x509_certificate(der) for der in self.chain]
        pem = folder / f"identity-{self.leaf.serial_number:x}.pem"
        pem.touch(mode=0o600)
        pem.write_bytes(
            b"".join(certificate.public_bytes(serialization.Encoding.PEM) for certificate in certificates)
            + self.key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        context.load_cert_chain(pem)


def attest(caller: Caller, token: str, identity: Identity | None = None) -> tuple[Identity, Any]:
    """Joins as a node by a token; returns the identity and the result message."""
    identity = identity or Identity()
    opening = stubs.agent.AttestAgentRequest(
        params=stubs.agent.AttestAgentRequest.Params(
            data=stubs.types.AttestationData(type="join_token", payload=token.encode()),
            params=stubs.agent.AgentX509SVIDParams(csr=identity.request()),
        )
    )
    [answer] = list(caller.agents.AttestAgent(iter([opening]), timeout=TIMEOUT))
    assert answer.WhichOneof("step") == "result", answer
    identity.chain = list(answer.result.svid.cert_chain)
    return identity, answer.result


def renew(caller: Caller, old: Identity) -> Identity:
    """A new SVID for a new key, for a node that calls with its old one."""
    new = Identity()
    request = stubs.agent.RenewAgentRequest(params=stubs.agent.AgentX509SVIDParams(csr=new.request()))
    new.chain = list(caller.agents.RenewAgent(request, timeout=TIMEOUT).svid.cert_chain)
    assert new.id == old.id
    return new


def mint(caller: Caller, uri: str, ttl: int = 0) -> Identity:
    """An SVID outside of all entries, which only an admin gets."""
    identity = Identity()
    answer = caller.svids.MintX509SVID(
        stubs.svid.MintX509SVIDRequest(csr=identity.request(uri), ttl=ttl), timeout=TIMEOUT
    )
    identity.chain = list(answer.svid.cert_chain)
    return identity


class Ending(Exception):
    """Raised where a call that must be refused was not."""


@contextlib.contextmanager
def refused(*codes: grpc.StatusCode) -> Iterator[list[grpc.RpcError]]:
    """Expects the calls inside to end with one of the codes; collects the error."""
    caught: list[grpc.RpcError] = []
    try:
        yield caught
    except grpc.RpcError as error:
        assert error.code() in codes, (error.code(), error.details())
        caught.append(error)
        return
    raise Ending(f"the call succeeded instead of ending with {codes}")


def reason(error: grpc.RpcError) -> str | None:
    """The reason in the details of PermissionDenied that agents act on; None when there is none."""
    packed = dict(error.trailing_metadata() or ()).get("grpc-status-details-bin")
    if packed is None:
        return None
    status = _Status.FromString(packed)
    for detail in status.details:
        if detail.type_url.endswith("/spire.api.types.PermissionDeniedDetails"):
            found = stubs.types.PermissionDeniedDetails.FromString(detail.value)
            return stubs.types.PermissionDeniedDetails.Reason.Name(found.reason)
    return None


def _status_class() -> Any:
    """`google.rpc.Status`, which comes with another package than the stubs do; its shape is public and small."""
    from google.protobuf import any_pb2, descriptor_pb2, descriptor_pool, message_factory

    pool = descriptor_pool.DescriptorPool()
    any_file = descriptor_pb2.FileDescriptorProto()
    any_pb2.DESCRIPTOR.CopyToProto(any_file)
    pool.Add(any_file)
    file = descriptor_pb2.FileDescriptorProto(
        name="google/rpc/status.proto", package="google.rpc", syntax="proto3",
        dependency=["google/protobuf/any.proto"],
    )
    message = file.message_type.add(name="Status")
    field = descriptor_pb2.FieldDescriptorProto
    message.field.add(name="code", number=1, type=field.TYPE_INT32, label=field.LABEL_OPTIONAL)
    message.field.add(name="message", number=2, type=field.TYPE_STRING, label=field.LABEL_OPTIONAL)
    message.field.add(
        name="details", number=3, type=field.TYPE_MESSAGE, label=field.LABEL_REPEATED,
        type_name=".google.protobuf.Any",
    )
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("google.rpc.Status"))


_Status = _status_class()


def status_details(code: grpc.StatusCode, message: str, detail: Any) -> bytes:
    """What a server sends as `grpc-status-details-bin`, with one detail."""
    status = _Status(code=code.value[0], message=message)
    status.details.add(type_url=f"type.googleapis.com/{detail.DESCRIPTOR.full_name}", value=detail.SerializeToString())
    return status.SerializeToString()
