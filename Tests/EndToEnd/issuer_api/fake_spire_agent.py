"""A scripted fake of SPIRE's agent: the messages that it sends a server, in its order, and how it takes the answers.

It holds what that agent holds (entries by ID, bundles by trust domain, SVIDs) and nothing of ours. What it does on a
refusal follows from the reason in the details alone.
"""

from __future__ import annotations

import bisect
import queue
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography import x509

import callers
import stubs
from callers import TIMEOUT, Caller, Identity, reason
from x509pop import Node

# Asked for with every sync; lifetimes and DNS names are the server's business.
MASK = stubs.types.EntryMask(
    spiffe_id=True, selectors=True, federates_with=True, admin=True, downstream=True, revision_number=True,
    store_svid=True, hint=True, additional_attributes=True, created_at=True,
)
REATTEST = {"AGENT_EXPIRED", "AGENT_NOT_ATTESTED", "AGENT_NOT_ACTIVE", "AGENT_MUST_REATTEST"}


class ShutDown(Exception):
    """The agent deletes its SVID and ends."""


class MustReattest(Exception):
    """The agent throws its SVID away and attests again, where its method allows."""


class FakeSPIREAgent:
    def __init__(self, server: Any, folder: Path) -> None:
        self.server, self.folder = server, folder
        self.identity: Identity | None = None
        self.reattestable = False
        # With what it attests where it does so by x509pop.
        self.node: Node | None = None
        self.entries: dict[str, Any] = {}
        self.bundles: dict[str, Any] = {}
        self.svids: dict[str, Identity] = {}
        # What each round of syncing moved over the wire.
        self.fetched: list[list[str]] = []

    # --- Joining ----------------------------------------------------------------------------------

    def join(self, token: str) -> None:
        """Attests by a token, which there is no challenge to."""
        self._attest("join_token", token.encode(), lambda challenge: pytest.fail(f"challenged: {challenge}"))

    def join_as(self, node: Node) -> None:
        """Attests by a certificate, and by its key when it is challenged."""
        self.node = node
        self._attest("x509pop", node.payload(), node.answer)
        assert self.identity.id.endswith(node.id_path)

    def _attest(self, kind: str, payload: bytes, answering: Any) -> None:
        """Attests over TLS without a certificate, then asks for the bundle on the same connection."""
        with callers.remote(self.server, self.folder) as caller:
            identity = Identity()
            params = stubs.agent.AttestAgentRequest.Params(
                data=stubs.types.AttestationData(type=kind, payload=payload),
                params=stubs.agent.AgentX509SVIDParams(csr=identity.request()),
            )
            requests = _Requests()
            requests.send(stubs.agent.AttestAgentRequest(params=params))
            stream = caller.agents.AttestAgent(requests, timeout=TIMEOUT)
            try:
                answer = next(stream)
                while answer.WhichOneof("step") == "challenge":
                    response = answering(answer.challenge)
                    requests.send(stubs.agent.AttestAgentRequest(challenge_response=response))
                    answer = next(stream)
            finally:
                requests.end()
            assert answer.WhichOneof("step") == "result", answer
            identity.chain = list(answer.result.svid.cert_chain)
            self.reattestable = answer.result.reattestable
            assert list(stream) == []
            own = caller.bundles.GetBundle(stubs.bundle.GetBundleRequest(), timeout=TIMEOUT)
        self.bundles[own.trust_domain] = own
        self._check(identity, identity.id)
        assert identity.id.startswith(f"spiffe://{own.trust_domain}/spire/agent/{kind}/")
        self.identity = identity

    def rotate(self, caller: Caller) -> None:
        """Gets a new SVID in time: by attesting again where the method can do that, and by renewing otherwise."""
        if self.reattestable:
            assert self.node, "nothing to attest with"
            self.join_as(self.node)
        else:
            self.renew(caller)

    def connect(self) -> Any:
        assert self.identity, "not attested"
        return callers.remote(self.server, self.folder, self.identity)

    # --- The sync loop ----------------------------------------------------------------------------

    def sync(self, caller: Caller) -> None:
        """One round: entries, sparsely; the own bundle; those of federated domains; missing SVIDs; the status."""
        self._act(lambda: self._sync_entries(caller))
        own = self._act(lambda: caller.bundles.GetBundle(stubs.bundle.GetBundleRequest(), timeout=TIMEOUT))
        bundles = {own.trust_domain: own}
        for domain in sorted({domain for entry in self.entries.values() for domain in entry.federates_with}):
            request = stubs.bundle.GetFederatedBundleRequest(trust_domain=domain)
            try:
                bundles[domain] = self._act(lambda: caller.bundles.GetFederatedBundle(request, timeout=TIMEOUT))
            except grpc.RpcError as error:
                # Told to its log and left out; any other failure ends the round.
                if error.code() != grpc.StatusCode.NOT_FOUND:
                    raise
        self.bundles = bundles
        self._sign(caller)
        status = stubs.agent.PostStatusRequest(current_bundle_serial=own.sequence_number, agent_version="1.15.3")
        self._act(lambda: caller.agents.PostStatus(status, timeout=TIMEOUT))

    def _sync_entries(self, caller: Caller) -> None:
        requests = _Requests()
        stream = caller.entries.SyncAuthorizedEntries(requests, timeout=60)
        requests.send(stubs.entry.SyncAuthorizedEntriesRequest(output_mask=MASK))
        answer = next(stream)
        fetched: list[str] = []
        if not answer.entry_revisions:
            # Everything at once; nothing more is asked.
            requests.end()
            self.entries = {entry.id: entry for entry in answer.entries}
            self.fetched.append(sorted(self.entries))
            return
        # The size of the first page is taken for the server's.
        size = len(answer.entry_revisions)
        revisions = list(answer.entry_revisions)
        while answer.more:
            answer = next(stream)
            assert not answer.entries, "entries among the revisions"
            revisions += answer.entry_revisions
        kept = {}
        needed = []
        for revision in revisions:
            assert revision.id and revision.revision_number >= 0, revision
            held = self.entries.get(revision.id)
            if held and held.revision_number >= revision.revision_number and held.created_at == revision.created_at:
                kept[revision.id] = held
            else:
                bisect.insort(needed, revision.id)
        while needed:
            page, needed = needed[:size], needed[size:]
            requests.send(stubs.entry.SyncAuthorizedEntriesRequest(ids=page))
            while True:
                answer = next(stream)
                assert not answer.entry_revisions, "revisions among the entries"
                kept |= {entry.id: entry for entry in answer.entries}
                fetched += [entry.id for entry in answer.entries]
                if not answer.more:
                    break
        requests.end()
        self.entries = kept
        self.fetched.append(sorted(fetched))

    def get_entries(self, caller: Caller) -> list[Any]:
        """The older way, without a stream."""
        request = stubs.entry.GetAuthorizedEntriesRequest(output_mask=MASK)
        return self._act(lambda: list(caller.entries.GetAuthorizedEntries(request, timeout=TIMEOUT).entries))

    def _sign(self, caller: Caller) -> None:
        """SVIDs for what has none, or one of an older revision; up to 500 requests in one call."""
        self.svids = {
            entry_id: svid for entry_id, svid in self.svids.items() if entry_id in self.entries
            and svid.revision == self.entries[entry_id].revision_number
        }
        missing = [
            entry for entry in self.entries.values()
            if entry.id not in self.svids and not entry.additional_attributes.disable_x509_svid_prefetch
        ]
        while missing:
            batch, missing = missing[:500], missing[500:]
            identities = [Identity() for _ in batch]
            request = stubs.svid.BatchNewX509SVIDRequest(
                params=[
                    stubs.svid.NewX509SVIDParams(
                        entry_id=entry.id, csr=identity.request(stubs.text_of(entry.spiffe_id))
                    )
                    for entry, identity in zip(batch, identities, strict=True)
                ]
            )
            results = self._act(lambda: caller.svids.BatchNewX509SVID(request, timeout=60).results)
            assert len(results) == len(batch)
            for entry, identity, result in zip(batch, identities, results, strict=True):
                if result.status.code != 0:
                    continue
                identity.chain, identity.revision = list(result.svid.cert_chain), entry.revision_number
                self._check(identity, stubs.text_of(entry.spiffe_id))
                assert identity.leaf.not_valid_after_utc.timestamp() == result.svid.expires_at
                self.svids[entry.id] = identity

    def token(self, caller: Caller, entry_id: str, *audience: str) -> Any:
        request = stubs.svid.NewJWTSVIDRequest(entry_id=entry_id, audience=audience)
        svid = self._act(lambda: caller.svids.NewJWTSVID(request, timeout=TIMEOUT).svid)
        assert svid.token and svid.issued_at < svid.expires_at
        return svid

    def renew(self, caller: Caller) -> None:
        """A new SVID for a new key; the connection is opened anew with it afterwards."""
        identity = Identity()
        request = stubs.agent.RenewAgentRequest(params=stubs.agent.AgentX509SVIDParams(csr=identity.request()))
        answer = self._act(lambda: caller.agents.RenewAgent(request, timeout=TIMEOUT))
        identity.chain = list(answer.svid.cert_chain)
        self._check(identity, self.identity.id)
        self.identity = identity

    # --- Judgement --------------------------------------------------------------------------------

    def _act(self, call: Any) -> Any:
        """Makes a call, and does what the reason of a refusal asks for."""
        try:
            return call()
        except grpc.RpcError as error:
            why = reason(error) if error.code() == grpc.StatusCode.PERMISSION_DENIED else None
            if why == "AGENT_BANNED":
                self.identity = None
                raise ShutDown(why) from error
            if why in REATTEST:
                self.identity = None
                raise MustReattest(why) from error
            raise

    def _check(self, identity: Identity, expected: str) -> None:
        """What that agent asks of a certificate before it is used."""
        assert identity.id == expected
        assert identity.leaf.public_key() == identity.key.public_key(), "for another key"
        domain = expected.removeprefix("spiffe://").partition("/")[0]
        chain = [x509.load_der_x509_certificate(der) for der in identity.chain]
        for certificate, issuer in zip(chain, chain[1:], strict=False):
            certificate.verify_directly_issued_by(issuer)
        roots = [
            x509.load_der_x509_certificate(authority.asn1) for authority in self.bundles[domain].x509_authorities
        ]
        assert any(_issued(chain[-1], root) for root in roots), "no authority of the bundle signed it"


def _issued(certificate: x509.Certificate, root: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(root)
    except Exception:
        return False
    return True


class _Requests:
    """The sending half of a stream that goes on as the answers come."""

    def __init__(self) -> None:
        self._queue: queue.Queue[Any] = queue.Queue()

    def send(self, message: Any) -> None:
        self._queue.put(message)

    def end(self) -> None:
        self._queue.put(None)

    def __iter__(self) -> _Requests:
        return self

    def __next__(self) -> Any:
        message = self._queue.get(timeout=60)
        if message is None:
            raise StopIteration
        return message
