"""A scripted fake of SPIRE's server: the part of its API that a node agent uses, with an authority of its own.

It knows nothing of `mintmark.v1`, so those services answer Unimplemented as they do there. TLS ends in front of it: a client
certificate is asked for and not needed, which grpcio's own server cannot say.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import ssl
import threading
import time
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

import stubs
import x509pop
from callers import status_details
from hostile_agent import Authority

Code = grpc.StatusCode
DER, PEM = serialization.Encoding.DER, serialization.Encoding.PEM
DOMAIN = "example.org"


class FakeSPIREServer:
    """One trust domain, in memory; a test changes what it says by changing its attributes."""

    def __init__(self, folder: Path, lifetime: float = 3600, agent_lifetime: float = 3600, page: int = 500) -> None:
        self.folder, self.lifetime, self.agent_lifetime, self.page = folder, lifetime, agent_lifetime, page
        self.authority = Authority(DOMAIN)
        self.jwt_key, self.jwt_key_id = ec.generate_private_key(ec.SECP256R1()), "fake-jwt-1"
        self.tokens: set[str] = set()
        # Agents by SPIFFE ID, with the serial numbers of the SVIDs that are good.
        self.agents: dict[str, set[int]] = {}
        self.entries: dict[str, Any] = {}
        self.federated: dict[str, Any] = {}
        self.sequence = 1
        # Whose nodes may attest by x509pop.
        self.node_authority = x509pop.NodeAuthority()
        # Agents that can attest again, and so must not renew.
        self.reattestable: set[str] = set()
        # Whether that is kept from them, as where a server was set up anew since they attested.
        self.hides_reattestable = False
        # What is said to agents instead of an answer, such as AGENT_BANNED.
        self.refusal: str | None = None
        # With what every renewal is refused.
        self.renewal_refusal: grpc.StatusCode | None = None
        # JWT authorities of servers below.
        self.published: dict[str, Any] = {}
        # Every call, in order: the method, and who made it.
        self.calls: list[tuple[str, str | None]] = []
        self.statuses: list[Any] = []
        self._lock = threading.Lock()
        self._backends: dict[bytes, tuple[grpc.Server, Path]] = {}
        self._loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[None]] = set()

    # --- What a test says -------------------------------------------------------------------------

    def token(self, value: str) -> str:
        self.tokens.add(value)
        return value

    def put_entry(self, entry_id: str, path: str, parent: str, *selectors: str, **fields: Any) -> None:
        held = self.entries.get(entry_id)
        self.entries[entry_id] = stubs.types.Entry(
            id=entry_id, spiffe_id=stubs.id_of(f"spiffe://{DOMAIN}{path}"), parent_id=stubs.id_of(parent),
            selectors=[
                stubs.types.Selector(type=kind, value=value)
                for kind, _, value in (selector.partition(":") for selector in selectors)
            ],
            revision_number=held.revision_number + 1 if held else 0,
            created_at=held.created_at if held else int(time.time()), **fields,
        )

    def write_bundle(self) -> Path:
        path = self.folder / "fake-bundle.pem"
        path.write_bytes(x509.load_der_x509_certificate(self.authority.certificate).public_bytes(PEM))
        return path

    def methods(self) -> list[str]:
        return [method for method, _ in self.calls]

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    # --- Certificates -----------------------------------------------------------------------------

    def sign(self, csr: bytes, uri: str, lifetime: float) -> Any:
        request = x509.load_der_x509_csr(csr)
        assert request.is_signature_valid
        now = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
        end = now + datetime.timedelta(seconds=lifetime)
        authority = x509.load_der_x509_certificate(self.authority.certificate)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, "FAKE")]))
            .issuer_name(authority.subject)
            .public_key(request.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(seconds=10))
            .not_valid_after(end)
            .add_extension(x509.BasicConstraints(False, None), True)
            .add_extension(x509.KeyUsage(True, False, True, False, True, False, False, False, False), True)
            .add_extension(
                x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.SERVER_AUTH, x509.ExtendedKeyUsageOID.CLIENT_AUTH]),
                False,
            )
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(request.public_key()), False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.authority.key.public_key()), False)
            .add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri)]), False)
            .sign(self.authority.key, hashes.SHA256())
        )
        return certificate, stubs.types.X509SVID(
            cert_chain=[certificate.public_bytes(DER)], id=stubs.id_of(uri), expires_at=int(end.timestamp())
        )

    def sign_agent(self, csr: bytes, spiffe_id: str) -> Any:
        certificate, svid = self.sign(csr, spiffe_id, self.agent_lifetime)
        with self._lock:
            self.agents.setdefault(spiffe_id, set()).add(certificate.serial_number)
        return svid

    def sign_token(self, entry: Any, audience: list[str]) -> Any:
        now = int(time.time())
        claims = {"sub": stubs.text_of(entry.spiffe_id), "aud": audience, "iat": now, "exp": now + 300}
        token = jwt.encode(claims, self.jwt_key, algorithm="ES256", headers={"kid": self.jwt_key_id})
        return stubs.types.JWTSVID(token=token, id=entry.spiffe_id, issued_at=now, expires_at=now + 300)

    def bundle(self) -> Any:
        public = self.jwt_key.public_key().public_bytes(DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        return stubs.types.Bundle(
            trust_domain=DOMAIN, sequence_number=self.sequence, refresh_hint=60,
            x509_authorities=[stubs.types.X509Certificate(asn1=self.authority.certificate)],
            jwt_authorities=[
                stubs.types.JWTKey(public_key=public, key_id=self.jwt_key_id, expires_at=int(time.time()) + 3600),
                *self.published.values(),
            ],
        )

    def sign_authority(self, csr: bytes, lifetime: float) -> bytes:
        """An X.509 authority for a server below."""
        request = x509.load_der_x509_csr(csr)
        assert request.is_signature_valid
        names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert names.get_values_for_type(x509.UniformResourceIdentifier) == [f"spiffe://{DOMAIN}"]
        now = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
        above = x509.load_der_x509_certificate(self.authority.certificate)
        subject = x509.Name([*above.subject, x509.NameAttribute(x509.NameOID.ORGANIZATIONAL_UNIT_NAME, "DOWNSTREAM-1")])
        builder = (
            x509.CertificateBuilder().subject_name(subject).issuer_name(above.subject).public_key(request.public_key())
            .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(seconds=10))
            .not_valid_after(min(now + datetime.timedelta(seconds=lifetime), above.not_valid_after_utc))
            .add_extension(x509.BasicConstraints(True, None), True)
            .add_extension(x509.KeyUsage(False, False, False, False, False, True, True, False, False), True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(request.public_key()), False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.authority.key.public_key()), False)
            .add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(f"spiffe://{DOMAIN}")]), False)
        )  # fmt: skip
        return builder.sign(self.authority.key, hashes.SHA256()).public_bytes(DER)

    def authorized(self, agent: str) -> list[Any]:
        """Entries of an agent, directly or through identities of its own."""
        found: dict[str, Any] = {}
        parents = [agent]
        while parents:
            parent = parents.pop()
            for entry in list(self.entries.values()):
                if stubs.text_of(entry.parent_id) == parent and entry.id not in found:
                    found[entry.id] = entry
                    parents.append(stubs.text_of(entry.spiffe_id))
        return sorted(found.values(), key=lambda entry: entry.id)

    # --- Serving ----------------------------------------------------------------------------------

    def __enter__(self) -> FakeSPIREServer:
        svid = self.authority.svid("/spire/server")
        key = serialization.load_der_private_key(svid.x509_svid_key, None)
        pem = self.folder / "fake-server.pem"
        pem.touch(mode=0o600)
        pem.write_bytes(
            x509.load_der_x509_certificate(svid.x509_svid).public_bytes(PEM)
            + key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        )
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(pem)
        self.context.load_verify_locations(cadata=self.authority.certificate)
        self.context.verify_mode = ssl.CERT_OPTIONAL
        self.context.set_alpn_protocols(["h2"])
        listening = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(listening,), daemon=True)
        self._thread.start()
        assert listening.wait(10), "the fake does not listen"
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop)
        self._thread.join(10)
        for server, _ in self._backends.values():
            server.stop(None).wait(5)

    def _run(self, listening: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        start = asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=self.context)
        server = self._loop.run_until_complete(start)
        self.port = server.sockets[0].getsockname()[1]
        listening.set()
        self._loop.run_forever()
        server.close()
        self._loop.run_until_complete(asyncio.gather(*self._tasks, return_exceptions=True))
        self._loop.close()

    def _stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        self._loop.stop()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        self._tasks.add(task)
        certificate = writer.get_extra_info("ssl_object").getpeercert(binary_form=True) or b""
        try:
            near_reader, near_writer = await asyncio.open_unix_connection(str(self._backend(certificate)))
            await asyncio.gather(self._pump(reader, near_writer), self._pump(near_reader, writer))
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            writer.close()
            self._tasks.discard(task)

    @staticmethod
    async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while part := await reader.read(65536):
                writer.write(part)
                await writer.drain()
        except OSError:
            pass
        finally:
            with contextlib.suppress(OSError):
                writer.close()

    def _backend(self, certificate: bytes) -> Path:
        """The gRPC server for those who presented one certificate, or none."""
        if certificate not in self._backends:
            server = grpc.server(futures.ThreadPoolExecutor(max_workers=8))
            _Services(self, certificate).add_to(server)
            path = self.folder / f"fake-{len(self._backends)}.sock"
            server.add_insecure_port(f"unix:{path}")
            server.start()
            self._backends[certificate] = (server, path)
        return self._backends[certificate][1]


class _Services:
    """What one caller sees."""

    def __init__(self, fake: FakeSPIREServer, certificate: bytes) -> None:
        self.fake = fake
        self.caller: str | None = None
        self.serial = 0
        if certificate:
            leaf = x509.load_der_x509_certificate(certificate)
            names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
            [self.caller] = names.get_values_for_type(x509.UniformResourceIdentifier)
            self.serial = leaf.serial_number

    def add_to(self, server: grpc.Server) -> None:
        services = self

        class Agent(stubs.agent_grpc.AgentServicer):
            def AttestAgent(self, requests: Any, context: Any) -> Any:
                services.note("AttestAgent")
                yield from services.attest(requests, context)

            def RenewAgent(self, request: Any, context: Any) -> Any:
                agent = services.require_agent("RenewAgent", context)
                if agent in services.fake.reattestable:
                    services.refuse("AGENT_MUST_REATTEST", context)
                if services.fake.renewal_refusal:
                    context.abort(services.fake.renewal_refusal, "no renewals today")
                svid = services.fake.sign_agent(request.params.csr, agent)
                return stubs.agent.RenewAgentResponse(svid=svid)

            def PostStatus(self, request: Any, context: Any) -> Any:
                services.require_agent("PostStatus", context)
                services.fake.statuses.append(request)
                return stubs.agent.PostStatusResponse()

        class Entry(stubs.entry_grpc.EntryServicer):
            def GetAuthorizedEntries(self, request: Any, context: Any) -> Any:
                agent = services.require_agent("GetAuthorizedEntries", context)
                mask = request.output_mask if request.HasField("output_mask") else None
                entries = [masked(entry, mask) for entry in services.fake.authorized(agent)]
                return stubs.entry.GetAuthorizedEntriesResponse(entries=entries)

            def SyncAuthorizedEntries(self, requests: Any, context: Any) -> Any:
                agent = services.require_agent("SyncAuthorizedEntries", context)
                yield from services.sync(agent, requests, context)

        class SVID(stubs.svid_grpc.SVIDServicer):
            def BatchNewX509SVID(self, request: Any, context: Any) -> Any:
                agent = services.require_agent("BatchNewX509SVID", context)
                return services.sign(agent, request)

            def NewJWTSVID(self, request: Any, context: Any) -> Any:
                agent = services.require_agent("NewJWTSVID", context)
                entry = {entry.id: entry for entry in services.fake.authorized(agent)}.get(request.entry_id)
                if entry is None:
                    context.abort(Code.NOT_FOUND, "entry not found or not authorized")
                if not request.audience:
                    context.abort(Code.INVALID_ARGUMENT, "at least one audience is required")
                return stubs.svid.NewJWTSVIDResponse(svid=services.fake.sign_token(entry, list(request.audience)))

            def NewDownstreamX509CA(self, request: Any, context: Any) -> Any:
                services.require_downstream("NewDownstreamX509CA", context)
                certificate = services.fake.sign_authority(request.csr, request.preferred_ttl or 3600)
                return stubs.svid.NewDownstreamX509CAResponse(
                    ca_cert_chain=[certificate], x509_authorities=[services.fake.authority.certificate]
                )

        class Bundle(stubs.bundle_grpc.BundleServicer):
            def GetBundle(self, request: Any, context: Any) -> Any:
                services.note("GetBundle")
                return services.fake.bundle()

            def GetFederatedBundle(self, request: Any, context: Any) -> Any:
                services.require_agent("GetFederatedBundle", context)
                bundle = services.fake.federated.get(request.trust_domain)
                if bundle is None:
                    context.abort(Code.NOT_FOUND, "bundle not found")
                return bundle

            def PublishJWTAuthority(self, request: Any, context: Any) -> Any:
                services.require_downstream("PublishJWTAuthority", context)
                key = request.jwt_authority
                if not key.key_id or not key.public_key:
                    context.abort(Code.INVALID_ARGUMENT, "invalid JWT authority")
                services.fake.published[key.key_id] = key
                services.fake.sequence += 1
                return stubs.bundle.PublishJWTAuthorityResponse(jwt_authorities=services.fake.bundle().jwt_authorities)

        stubs.agent_grpc.add_AgentServicer_to_server(Agent(), server)
        stubs.entry_grpc.add_EntryServicer_to_server(Entry(), server)
        stubs.svid_grpc.add_SVIDServicer_to_server(SVID(), server)
        stubs.bundle_grpc.add_BundleServicer_to_server(Bundle(), server)

    def note(self, method: str) -> None:
        with self.fake._lock:
            self.fake.calls.append((method, self.caller))

    def require_agent(self, method: str, context: Any) -> str:
        self.note(method)
        why = self.fake.refusal
        if why is None and self.serial not in self.fake.agents.get(self.caller or "", ()):
            why = "AGENT_NOT_ATTESTED"
        if why is not None:
            self.refuse(why, context)
        return self.caller

    def require_downstream(self, method: str, context: Any) -> None:
        self.note(method)
        known = list(self.fake.entries.values())
        if not any(entry.downstream and stubs.text_of(entry.spiffe_id) == self.caller for entry in known):
            context.abort(Code.PERMISSION_DENIED, "caller is not a downstream workload")

    @staticmethod
    def refuse(why: str, context: Any) -> None:
        """Ends a call with a reason that agents act on."""
        details = stubs.types.PermissionDeniedDetails(reason=stubs.types.PermissionDeniedDetails.Reason.Value(why))
        packed = status_details(Code.PERMISSION_DENIED, "agent is not permitted", details)
        context.set_trailing_metadata((("grpc-status-details-bin", packed),))
        context.abort(Code.PERMISSION_DENIED, "agent is not permitted")

    def attest(self, requests: Any, context: Any) -> Any:
        opening = next(requests)
        if opening.WhichOneof("step") != "params" or not opening.params.data.type:
            context.abort(Code.INVALID_ARGUMENT, "malformed param")
        if opening.params.data.type == "x509pop":
            yield from self.attest_by_possession(opening, requests, context)
            return
        if opening.params.data.type != "join_token":
            context.abort(Code.FAILED_PRECONDITION, "could not find node attestor type")
        token = opening.params.data.payload.decode()
        with self.fake._lock:
            if token not in self.fake.tokens:
                context.abort(Code.INVALID_ARGUMENT, "join token does not exist or has already been used")
            self.fake.tokens.remove(token)
        # There the ID is the token.
        yield self.attested(opening, f"/spire/agent/join_token/{token}", False)

    def attested(self, opening: Any, path: str, reattestable: bool) -> Any:
        svid = self.fake.sign_agent(opening.params.params.csr, f"spiffe://{DOMAIN}{path}")
        return stubs.agent.AttestAgentResponse(
            result=stubs.agent.AttestAgentResponse.Result(svid=svid, reattestable=reattestable)
        )

    def attest_by_possession(self, opening: Any, requests: Any, context: Any) -> Any:
        try:
            certificate = x509pop.opened(opening.params.data.payload, self.fake.node_authority)
        except Exception:
            context.abort(Code.PERMISSION_DENIED, "certificate verification failed")
        question, nonce = x509pop.challenge(certificate)
        yield stubs.agent.AttestAgentResponse(challenge=question)
        answer = next(requests)
        self.note("challenge_response")
        try:
            x509pop.check(answer.challenge_response, nonce, certificate)
        except Exception:
            context.abort(Code.PERMISSION_DENIED, "challenge response verification failed")
        path = x509pop.Node(None, certificate).id_path
        # Whoever attests again has no SVID but the new one.
        with self.fake._lock:
            self.fake.agents.pop(f"spiffe://{DOMAIN}{path}", None)
            self.fake.reattestable.add(f"spiffe://{DOMAIN}{path}")
        yield self.attested(opening, path, not self.fake.hides_reattestable)

    def sync(self, agent: str, requests: Any, context: Any) -> Any:
        opening = next(requests)
        if opening.ids:
            context.abort(Code.INVALID_ARGUMENT, "IDs in the first request")
        mask = opening.output_mask if opening.HasField("output_mask") else None
        if mask and not mask.revision_number:
            context.abort(Code.INVALID_ARGUMENT, "revision number cannot be masked")
        entries = [masked(entry, mask) for entry in self.fake.authorized(agent)]
        size = self.fake.page
        if len(entries) <= size:
            yield stubs.entry.SyncAuthorizedEntriesResponse(entries=entries)
            return
        pages = [entries[start : start + size] for start in range(0, len(entries), size)]
        for number, page in enumerate(pages):
            revisions = [
                stubs.entry.EntryRevision(
                    id=entry.id, revision_number=entry.revision_number, created_at=entry.created_at
                )
                for entry in page
            ]
            yield stubs.entry.SyncAuthorizedEntriesResponse(entry_revisions=revisions, more=number + 1 < len(pages))
        by_id = {entry.id: entry for entry in entries}
        for request in requests:
            self.note(f"SyncAuthorizedEntries ids={len(request.ids)}")
            wanted = [by_id[entry_id] for entry_id in request.ids if entry_id in by_id]
            parts = [wanted[start : start + size] for start in range(0, len(wanted), size)] or [[]]
            for number, part in enumerate(parts):
                yield stubs.entry.SyncAuthorizedEntriesResponse(entries=part, more=number + 1 < len(parts))

    def sign(self, agent: str, request: Any) -> Any:
        entries = {entry.id: entry for entry in self.fake.authorized(agent)}
        results = []
        for params in request.params:
            entry = entries.get(params.entry_id)
            if entry is None:
                status = stubs.types.Status(code=Code.NOT_FOUND.value[0], message="entry not found or not authorized")
                results.append(stubs.svid.BatchNewX509SVIDResponse.Result(status=status))
                continue
            _, svid = self.fake.sign(params.csr, stubs.text_of(entry.spiffe_id), self.fake.lifetime)
            status = stubs.types.Status(code=0, message="OK")
            results.append(stubs.svid.BatchNewX509SVIDResponse.Result(status=status, svid=svid))
        return stubs.svid.BatchNewX509SVIDResponse(results=results)


def masked(entry: Any, mask: Any) -> Any:
    """An entry without the fields that a mask leaves out; its ID always stays."""
    if mask is None:
        return entry
    shown = stubs.types.Entry()
    shown.CopyFrom(entry)
    for field in stubs.types.EntryMask.DESCRIPTOR.fields:
        if not getattr(mask, field.name):
            shown.ClearField(field.name)
    return shown
