"""A workload and others who verify it, watched while authorities come and go."""

from __future__ import annotations

import base64
import json
import os
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from mintmark import Agent, Server, openssl, poll, sid
from tokens import claims_of, header_of, verify
from workload import WorkloadAPI, certificates_in

# The longer versions of tests, with more of the same.
IS_LONG = os.environ.get("MINTMARK_LONG") == "1"


def now() -> datetime:
    return datetime.now(UTC)


def issuer_key(certificate: x509.Certificate) -> str:
    """Which key signed a certificate, as 'authority show' names it."""
    return certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier.hex()


def own_key(certificate: x509.Certificate) -> str:
    return certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest.hex()


def show(server: Any, kind: str) -> dict[str, Any]:
    return server.json("authority", "show", kind)


class Stream:
    """The newest message of a stream, which is opened again whenever it ends."""

    def __init__(self, api: WorkloadAPI, method: str) -> None:
        self.api, self.method = api, method
        self.messages: list[tuple[datetime, Any]] = []
        self._call: Any = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        while not self._over.is_set():
            try:
                self._call = self.api.start(self.method, timeout=900)
                for message in self._call:
                    self.messages.append((now(), message))
            except (grpc.RpcError, ValueError):
                pass
            self._over.wait(0.1)

    @property
    def newest(self) -> Any:
        return poll(f"the first message of {self.method}", lambda: self.messages, within=20)[-1][1]

    def close(self) -> None:
        self._over.set()
        if self._call is not None:
            self._call.cancel()
        self._thread.join(5)


class Trust:
    """Whom a workload believes at this moment."""

    def __init__(self, api: WorkloadAPI, trust_domain: str = sid("")) -> None:
        self.trust_domain = trust_domain
        self._x509, self._jwt = Stream(api, "FetchX509Bundles"), Stream(api, "FetchJWTBundles")

    @property
    def x509(self) -> list[x509.Certificate]:
        return certificates_in(self._x509.newest.bundles[self.trust_domain])

    @property
    def jwks(self) -> dict[str, dict[str, Any]]:
        return {key["kid"]: key for key in json.loads(self._jwt.newest.bundles[self.trust_domain])["keys"]}

    def knows(self, kind: str, authority: str) -> bool:
        if kind == "jwt":
            return authority in self.jwks
        return authority in {own_key(root) for root in self.x509}

    def close(self) -> None:
        self._x509.close()
        self._jwt.close()


class Subject:
    """A workload that holds its X.509-SVID and asks for tokens, and all those who verify both."""

    def __init__(self, folder: Path, agent: Agent, audience: str = "verifiers") -> None:
        self.folder, self.agent, self.audience = folder, agent, audience
        self.api = WorkloadAPI(agent.socket)
        self.svids = Stream(self.api, "FetchX509SVID")
        self.verifiers = [Trust(self.api)]
        self.checks = 0
        self._judged: set[tuple[bytes, bytes]] = set()

    @property
    def chain(self) -> list[x509.Certificate]:
        return certificates_in(self.svids.newest.svids[0].x509_svid)

    @property
    def top(self) -> str:
        """The key above the chain that is shown: that of a root."""
        return issuer_key(self.chain[-1])

    def check(self) -> None:
        """Everyone believes what is held now, and nothing of it outlives what signed it."""
        svid = self.svids.newest.svids[0]
        chain = certificates_in(svid.x509_svid)
        assert chain[0].not_valid_before_utc <= now() < chain[0].not_valid_after_utc, "an SVID that is not valid is held"
        for roots in [certificates_in(svid.bundle), *(verifier.x509 for verifier in self.verifiers)]:
            self._judge(chain, roots)
        self.checks += 1

    def _judge(self, chain: list[x509.Certificate], roots: list[x509.Certificate]) -> None:
        [root] = [root for root in roots if own_key(root) == issuer_key(chain[-1])]
        path = [*chain, root]
        for certificate, above in zip(path, path[1:]):
            certificate.verify_directly_issued_by(above)
            assert certificate.not_valid_after_utc <= above.not_valid_after_utc, "it outlives what signed it"
        case = (chain[0].fingerprint(chain[0].signature_hash_algorithm), root.fingerprint(root.signature_hash_algorithm))
        if case not in self._judged:
            self._judged.add(case)
            self._ask_openssl(chain, roots)

    def _ask_openssl(self, chain: list[x509.Certificate], roots: list[x509.Certificate]) -> None:
        def write(name: str, certificates: list[x509.Certificate]) -> Path:
            path = self.folder / f"{name}.pem"
            path.write_bytes(b"".join(one.public_bytes(serialization.Encoding.PEM) for one in certificates))
            return path

        above = ["-untrusted", write("above", chain[1:])] if chain[1:] else []
        openssl(
            "verify", "-x509_strict", "-purpose", "sslclient", "-CAfile", write("roots", roots), *above,
            write("leaf", chain[:1]),
        ).expect(0)  # fmt: skip

    def check_token(self, ends: dict[str, datetime] | None = None) -> str:
        """The same of a token; returns the ID of its key."""
        token = self.api.jwt(self.audience)[0].svid
        key = header_of(token)["kid"]
        for verifier in self.verifiers:
            verify(token, verifier.jwks, self.audience)
        if ends is not None:
            assert claims_of(token)["exp"] <= ends[key].timestamp(), "a token outlives its key"
        self.checks += 1
        return key

    def check_history(self) -> None:
        """Each SVID came before the one before it had ended."""
        arrivals: dict[bytes, datetime] = {}
        for arrival, message in self.svids.messages:
            arrivals.setdefault(message.svids[0].x509_svid, arrival)
        held = list(arrivals.items())
        for (old, _), (_, arrival) in zip(held, held[1:]):
            end = certificates_in(old)[0].not_valid_after_utc
            assert arrival < end, f"without a valid SVID for {(arrival - end).total_seconds():.1f} s"

    def close(self) -> None:
        self.svids.close()
        for verifier in self.verifiers:
            verifier.close()
        self.api.channel.close()


class Ledger:
    """Every authority that a server had, and when each ends."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.ends: dict[str, datetime] = {}
        self.active: dict[str, list[str]] = {"x509": [], "jwt": []}

    def note(self) -> None:
        for kind, generations in self.active.items():
            standing = show(self.server, kind)
            for authority in (standing["active"], standing["prepared"], standing["old"]):
                if authority is not None:
                    self.ends[authority["id"]] = datetime.fromisoformat(authority["expires_at"])
            if standing["active"]["id"] not in generations:
                generations.append(standing["active"]["id"])

    @property
    def generations(self) -> int:
        return min(len(generations) for generations in self.active.values())


class Relay:
    """Carries the bundle of one trust domain to the server of another, again and again."""

    def __init__(self, source: Server, target: Server) -> None:
        self.source, self.target = source, target
        self.failure: BaseException | None = None
        self._path = target.folder / f"{target.name}-relayed.json"
        self._last = ""
        self.carry()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def carry(self) -> None:
        bundle = self.source.cli("bundle", "show", "--format", "spiffe").expect(0).out
        if bundle == self._last:
            return
        self._path.write_text(bundle)
        self.target.cli("bundle", "set", self.source.settings["trust_domain"], "--file", self._path).expect(0)
        self._last = bundle

    def _run(self) -> None:
        while not self._over.wait(0.4):
            try:
                self.carry()
            except AssertionError as error:
                self.failure = error
                return

    def close(self) -> None:
        self._over.set()
        self._thread.join(10)
        assert self.failure is None, self.failure


def agent_signer(agent: Agent) -> str:
    """Which authority signed the SVID by which an agent is known to its server."""
    kept = json.loads((agent.data / "agent-svid.json").read_text())
    return issuer_key(x509.load_der_x509_certificate(base64.b64decode(kept["chain"][0])))


def settle(seconds: float, *steps: Any) -> None:
    """Takes steps again and again for a while."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for step in steps:
            step()
        time.sleep(0.1)
