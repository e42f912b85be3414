"""SVIDs are renewed around half of their lifetime and pushed to whoever holds a stream open.

One short-lived setting is watched once, by every kind of client at the same time; the tests look at what they saw.
"""

from __future__ import annotations

import contextlib
import signal
import time

import pytest
from spiffe import WorkloadApiClient, X509Source

from mintmark import SVIDWatch, my_uid, poll, sid
from tokens import claims_of
from workload import certificates_in, ids_of, pem_certificates

IDENTITY = sid("/rotating")
X509_TTL = 20
JWT_TTL = 16


class Seen:
    """What everyone saw while the X.509-SVID was renewed twice and the JWT-SVID once."""


@pytest.fixture(scope="module")
def seen(start_module_up, module_home):
    up = start_module_up("--x509-ttl", f"{X509_TTL}s", "--jwt-ttl", f"{JWT_TTL}s")
    up.register(IDENTITY, my_uid())
    seen = Seen()
    seen.contexts, seen.errors, seen.source_serials, seen.tokens = [], [], [], []
    with contextlib.ExitStack() as stack:
        api = stack.enter_context(up.api())
        watch = api.watch("FetchX509SVID")
        stack.callback(watch.cancel)
        client = WorkloadApiClient(up.endpoint)
        stack.callback(client.close)
        handle = client.stream_x509_contexts(
            lambda context: seen.contexts.append((time.time(), context)), seen.errors.append, retry_connect=False
        )
        stack.callback(handle.cancel)
        source = stack.enter_context(X509Source(socket_path=up.endpoint, timeout_in_seconds=10))
        printer = SVIDWatch(module_home, up)
        stack.callback(printer.close)
        printer.start(wait=False)
        poll("the first line of 'svid watch'", printer.documents, within=20)

        def observed() -> bool:
            seen.tokens.append((time.time(), api.jwt("a")[0].svid))
            serial = source.get_x509_context().default_svid.leaf.serial_number
            if serial not in seen.source_serials:
                seen.source_serials.append(serial)
            enough = [len(watch.messages), len(seen.contexts), len(printer.documents()), len(seen.source_serials)]
            return min(enough) >= 3 and len({token for _, token in seen.tokens}) >= 2

        try:
            poll("everyone to see two renewals and a new token", observed, within=60, every=0.1)
        finally:
            seen.messages = list(watch.messages)
            seen.printed = printer.documents()
        seen.end = printer.stop(signal.SIGINT)
    return seen


def test_the_stream_pushes_the_renewed_svid(seen):
    """WLAPI-06."""
    leaves = [certificates_in(message.svids[0].x509_svid)[0] for _, message in seen.messages]
    assert all(ids_of(message) == {IDENTITY} for _, message in seen.messages)
    assert len({leaf.serial_number for leaf in leaves}) >= 3
    ends = [leaf.not_valid_after_utc for leaf in leaves]
    assert ends == sorted(ends)


def test_a_renewed_svid_comes_well_before_the_old_one_ends(seen):
    for (_, old), (arrival, _) in zip(seen.messages, seen.messages[1:]):
        end = certificates_in(old.svids[0].x509_svid)[0].not_valid_after_utc.timestamp()
        assert end - arrival > X509_TTL / 5, f"renewed {end - arrival:.1f} s before the end"


def test_a_svid_is_not_renewed_in_a_rush(seen):
    """The jitter is drawn once, so the pace is steady."""
    firsts: dict[bytes, float] = {}
    for arrival, message in seen.messages:
        firsts.setdefault(message.svids[0].x509_svid, arrival)
    arrivals = list(firsts.values())
    pauses = [later - earlier for earlier, later in zip(arrivals, arrivals[1:])]
    assert min(pauses) > X509_TTL / 10, pauses


def test_a_renewed_svid_has_a_key_of_its_own(seen):
    keys = {message.svids[0].x509_svid: message.svids[0].x509_svid_key for _, message in seen.messages}
    assert len(set(keys.values())) == len(keys)


def test_the_official_client_sees_every_renewal(seen):
    assert not seen.errors
    serials = {context.default_svid.leaf.serial_number for _, context in seen.contexts}
    assert len(serials) >= 3
    assert len(seen.source_serials) >= 3


def test_svid_watch_prints_every_renewal_as_a_line(seen):
    assert len(seen.printed) >= 3
    leaves = []
    for document in seen.printed:
        [svid] = document["svids"]
        assert svid["spiffe_id"] == IDENTITY
        leaves.append(pem_certificates(svid["certificates"])[0].serial_number)
    assert len(set(leaves)) >= 3


def test_svid_watch_ends_by_interrupt(seen):
    assert seen.end.code == 0, seen.end


def test_a_token_is_kept_for_half_of_its_life_and_then_replaced(seen):
    """GS-13: what the cache gives out has a useful life left."""
    first = seen.tokens[0][1]
    replaced = next(at for at, token in seen.tokens if token != first)
    age = (replaced - claims_of(first)["iat"]) / JWT_TTL
    assert 0.3 < age < 0.8, f"replaced after {age:.2f} of its life"
    for at, token in seen.tokens:
        left = (claims_of(token)["exp"] - at) / JWT_TTL
        assert left > 0.25, f"given out with {left:.2f} of its life left"
