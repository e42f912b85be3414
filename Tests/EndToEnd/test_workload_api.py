"""The Workload API on the wire: status codes, texts and messages, with requests made by hand."""

from __future__ import annotations

import datetime
import json
import time

import pytest
from cryptography.hazmat.primitives import serialization
from google.protobuf.json_format import MessageToDict
from grpc import StatusCode
from spiffe._proto import workload_pb2

from mintmark import FAILED, TRUST_DOMAIN, USAGE, fresh_id, my_uid, poll, sid
from tokens import claims_of
from workload import (
    HEADER,
    METHODS,
    NO_HEADER_TEXT,
    NO_IDENTITY_TEXT,
    STREAMS,
    Ending,
    certificates_in,
    ids_of,
    uris_of,
)

MINE = sid("/wire/mine")
OTHERS = sid("/wire/others")


@pytest.fixture(scope="module")
def served(start_module_up):
    """One identity for this process, one for somebody else. No test here changes that."""
    up = start_module_up()
    up.register(OTHERS, "unix:uid:4294967")
    up.register(MINE, my_uid(), flags=["--hint", "wire"])
    return up


@pytest.fixture
def api(served):
    with served.api() as api:
        yield api


def request_for(method, api):
    """A request that is answered, for a caller with an identity."""
    if method == "FetchJWTSVID":
        return workload_pb2.JWTSVIDRequest(audience=["a"])
    if method == "ValidateJWTSVID":
        return workload_pb2.ValidateJWTSVIDRequest(audience="a", svid=api.jwt("a")[0].svid)
    return None


# --- The security header --------------------------------------------------------------------------

KEY = "workload.spiffe.io"
BAD_METADATA = {
    "none": (),
    "another case": ((KEY, "True"),),
    "capitals": ((KEY, "TRUE"),),
    "one": ((KEY, "1"),),
    "empty": ((KEY, ""),),
    "twice": ((KEY, "true"), (KEY, "true")),
    "true and false": ((KEY, "true"), (KEY, "false")),
    "of the broker": (("broker.spiffe.io", "true"),),
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("metadata", BAD_METADATA.values(), ids=BAD_METADATA.keys())
def test_a_call_without_the_security_header_is_refused(api, method, metadata):
    """WLEP-05, A01; the text is SPIRE's."""
    request = request_for(method, api)
    assert api.refusal(method, request, metadata=metadata) == Ending(StatusCode.INVALID_ARGUMENT, NO_HEADER_TEXT)


def test_the_header_is_judged_before_the_caller(up):
    with up.api() as api:
        ending = api.refusal("FetchX509SVID", metadata=())
    assert ending == Ending(StatusCode.INVALID_ARGUMENT, NO_HEADER_TEXT)


def test_other_metadata_does_no_harm(api):
    assert ids_of(api.first("FetchX509SVID", metadata=(*HEADER, ("x-other", "1")))) == {MINE}


# --- What is not there ----------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["FetchWITSVID", "FetchWITBundles"])
def test_the_wit_profile_is_unimplemented(api, method):
    """WLAPI-28, A10."""
    assert api.refusal(method, b"").code == StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize(
    "path", ["/SpiffeWorkloadAPI/FetchNothing", "/spiffe.Nothing/Fetch", "/WorkloadAPI/FetchX509SVID"]
)
def test_an_unknown_method_is_unimplemented(api, path):
    assert api.refusal(path, b"").code == StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize(
    "service", ["agent.v1.Agent/ListAgents", "entry.v1.Entry/ListEntries", "svid.v1.SVID/MintX509SVID"]
)
def test_the_issuers_api_is_not_on_the_workload_socket(api, service):
    assert api.refusal(f"/spire.api.server.{service}", b"").code == StatusCode.UNIMPLEMENTED


# --- Bad requests ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "method, request_",
    [
        ("FetchJWTSVID", workload_pb2.JWTSVIDRequest()),
        ("FetchJWTSVID", workload_pb2.JWTSVIDRequest(audience=[""])),
        ("FetchJWTSVID", workload_pb2.JWTSVIDRequest(spiffe_id=MINE)),
        ("ValidateJWTSVID", workload_pb2.ValidateJWTSVIDRequest()),
        ("ValidateJWTSVID", workload_pb2.ValidateJWTSVIDRequest(audience="a")),
        ("ValidateJWTSVID", workload_pb2.ValidateJWTSVIDRequest(svid="e30.e30.AA")),
    ],
    ids=["no audience", "empty audience", "ID alone", "nothing", "no token", "no validation audience"],
)
def test_a_mandatory_field_at_its_default_is_an_invalid_argument(api, method, request_):
    """WLAPI-08, A02."""
    assert api.refusal(method, request_).code == StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize(
    "spiffe_id",
    [
        "x",
        "https://example.org/w",
        "spiffe:///w",
        "SPIFFE://example.org/w",
        "spiffe://Example.org/w",
        "spiffe://example.org/",
        "spiffe://example.org//w",
        "spiffe://example.org/w/",
        "spiffe://example.org/./w",
        "spiffe://example.org/../w",
        "spiffe://example.org/w?q",
        "spiffe://example.org/w#f",
        "spiffe://example.org:80/w",
        "spiffe://u@example.org/w",
        "spiffe://[::1]/w",
        "spiffe://example.org/%61",
        "spiffe://example.org/a~b",
        " spiffe://example.org/w",
        "spiffe://example.org/w\n",
        "spiffe://example.org/é",
        "spiffe://example.org/" + "x" * 2048,
    ],
)
def test_an_id_that_is_none_is_an_invalid_argument(api, spiffe_id):
    """A03 with S02, S04, S07 to S09, S11 to S13, S15."""
    ending = api.refusal("FetchJWTSVID", workload_pb2.JWTSVIDRequest(audience=["a"], spiffe_id=spiffe_id))
    assert ending.code == StatusCode.INVALID_ARGUMENT, ending


@pytest.mark.parametrize("spiffe_id", [OTHERS, sid("/wire/nobody"), sid("/wire/MINE"), "spiffe://other.org/wire/mine"])
def test_an_id_that_is_not_granted_is_denied(api, spiffe_id):
    """WLAPI-22, A03; S05: paths are compared with their case."""
    ending = api.refusal("FetchJWTSVID", workload_pb2.JWTSVIDRequest(audience=["a"], spiffe_id=spiffe_id))
    assert ending.code == StatusCode.PERMISSION_DENIED, ending


def test_unknown_fields_are_ignored(api):
    """Field 99, as a client from the future might send it."""
    known = workload_pb2.JWTSVIDRequest(audience=["a"]).SerializeToString()
    assert ids_of(api.first("FetchX509SVID", b"\x98\x06\x01")) == {MINE}
    assert ids_of(api.first("FetchJWTSVID", known + b"\x98\x06\x01")) == {MINE}


def test_a_message_that_is_no_protobuf_is_refused(api):
    ending = api.refusal("FetchJWTSVID", b"\xff\xff\xff\xff")
    assert ending.code in (StatusCode.INVALID_ARGUMENT, StatusCode.INTERNAL), ending
    assert ids_of(api.first("FetchX509SVID")) == {MINE}


# --- Callers without an identity ------------------------------------------------------------------


@pytest.mark.parametrize("method", [*STREAMS, "FetchJWTSVID"])
def test_a_caller_without_an_entry_is_denied_with_the_fields_text(up, method):
    """WLEP-11, WLAPI-16, 18, 22, 25, A04, SP-01."""
    with up.api() as api:
        request = workload_pb2.JWTSVIDRequest(audience=["a"]) if method == "FetchJWTSVID" else None
        assert api.refusal(method, request) == Ending(StatusCode.PERMISSION_DENIED, NO_IDENTITY_TEXT)


# --- Messages -------------------------------------------------------------------------------------


def test_an_x509_svid_message_is_whole(api, served):
    """WLAPI-05, 12 to 15; GS-08, GS-09."""
    message = api.first("FetchX509SVID")
    assert len(message.svids) == 1 and not message.crl and not message.federated_bundles, message
    [svid] = message.svids
    assert (svid.spiffe_id, svid.hint) == (MINE, "wire")
    leaf, *intermediates = certificates_in(svid.x509_svid)
    assert uris_of(leaf) == [MINE]
    key = serialization.load_der_private_key(svid.x509_svid_key, password=None)
    assert key.public_key() == leaf.public_key()
    # SEC1 would load as well; PKCS#8 starts with version 0 and an algorithm (RFC 5208 §5).
    assert b"\x02\x01\x00\x30" in svid.x509_svid_key[:8], svid.x509_svid_key[:16].hex()
    roots = certificates_in(svid.bundle)
    assert roots == served.authorities()[0]
    assert not intermediates
    leaf.verify_directly_issued_by(roots[0])


def test_every_stream_answers_at_once_with_the_own_trust_domain(api, served):
    """WLAPI-05, 17, 23; GS-10: keys are trust domain IDs without a slash."""
    x509_bundles = api.first("FetchX509Bundles").bundles
    assert list(x509_bundles) == [f"spiffe://{TRUST_DOMAIN}"]
    assert certificates_in(x509_bundles[f"spiffe://{TRUST_DOMAIN}"]) == served.authorities()[0]
    jwt_bundles = api.first("FetchJWTBundles").bundles
    assert list(jwt_bundles) == [f"spiffe://{TRUST_DOMAIN}"]


def test_the_jwt_bundle_holds_jwt_keys_and_nothing_else(api, served):
    """WLAPI-24, A09, GS-15: a stray key there would become a JWT authority."""
    document = json.loads(api.first("FetchJWTBundles").bundles[f"spiffe://{TRUST_DOMAIN}"])
    keys = document["keys"]
    assert {key["kid"] for key in keys} == set(served.authorities()[1]) and keys
    for key in keys:
        assert key["kty"] in ("EC", "RSA") and key["kid"], key
        assert key.get("use", "jwt-svid") == "jwt-svid", key
        assert "x5c" not in key and "d" not in key, key


def test_one_connection_serves_many_calls_at_once(api):
    calls = [api.start("FetchX509SVID") for _ in range(50)]
    assert [ids_of(next(call)) for call in calls] == [{MINE}] * 50
    for call in calls:
        call.cancel()


# --- JWT-SVIDs ------------------------------------------------------------------------------------


def test_audiences_keep_their_order(api):
    """WLAPI-19."""
    for audience in (["c", "a", "b"], ["https://x.example/y?z", "a"]):
        [svid] = api.jwt(*audience)
        assert claims_of(svid.svid)["aud"] == audience


def test_a_jwt_svid_names_its_identity(api):
    """WLAPI-20, 21."""
    for requested in ("", MINE):
        [svid] = api.jwt("a", spiffe_id=requested)
        assert (svid.spiffe_id, svid.hint) == (MINE, "wire")
        assert claims_of(svid.svid)["sub"] == MINE


def test_the_same_question_gets_the_same_token(served):
    """GS-13: clients do not cache, so the agent does."""
    tokens = set()
    for _ in range(3):
        with served.api() as api:
            tokens.add(api.jwt("cached", "twice")[0].svid)
    assert len(tokens) == 1
    with served.api() as api:
        assert api.jwt("cached")[0].svid not in tokens


def test_a_valid_token_is_confirmed_with_its_claims(api):
    """WLAPI-26, 27; SP-02: aud is always a list."""
    [svid] = api.jwt("a")
    answer = api.validate(svid.svid, "a")
    claims = MessageToDict(answer.claims)
    assert answer.spiffe_id == MINE
    assert claims["sub"] == MINE and claims["aud"] == ["a"]
    assert claims["exp"] == claims_of(svid.svid)["exp"]


@pytest.mark.parametrize("audience", ["b", "A", "a ", "a,b"])
def test_a_token_for_someone_else_is_an_invalid_argument(api, audience):
    """JWT-15, J13."""
    [svid] = api.jwt("a")
    request = workload_pb2.ValidateJWTSVIDRequest(audience=audience, svid=svid.svid)
    assert api.refusal("ValidateJWTSVID", request).code == StatusCode.INVALID_ARGUMENT


# --- Several identities ---------------------------------------------------------------------------


def test_several_identities_come_in_a_stable_order(up):
    """WLAPI-11, 12, 20."""
    identities = {fresh_id("several") for _ in range(5)}
    for identity in sorted(identities, reverse=True):
        up.register(identity, my_uid())
    orders = set()
    for _ in range(5):
        orders.add(tuple(up.ids()))
    assert len(orders) == 1 and set(*orders) == identities
    with up.api() as api:
        assert {svid.spiffe_id for svid in api.jwt("a")} == identities
        one = sorted(identities)[2]
        [svid] = api.jwt("a", spiffe_id=one)
        assert claims_of(svid.svid)["sub"] == one
        assert len({svid.x509_svid_key for svid in api.first("FetchX509SVID").svids}) == 5, "a key is shared"


def test_hints_are_unique_within_a_response_and_the_oldest_entry_keeps_its_own(up):
    """WLAPI-09, SP-03."""
    older, newer, plain = fresh_id("hint"), fresh_id("hint"), fresh_id("hint")
    up.register(older, my_uid(), flags=["--hint", "internal"])
    # Instants of creation are kept to the second.
    created = int(time.time())
    poll("the next second", lambda: int(time.time()) > created)
    up.register(newer, my_uid(), flags=["--hint", "internal"])
    up.register(plain, my_uid())
    with up.api() as api:
        for svids in (api.first("FetchX509SVID").svids, api.jwt("a")):
            hints = [svid.hint for svid in svids if svid.hint]
            assert len(hints) == len(set(hints)), svids
            assert [svid.spiffe_id for svid in svids if svid.hint == "internal"] == [older]
            assert plain in {svid.spiffe_id for svid in svids}


def test_a_hint_over_1024_bytes_cannot_be_registered(up):
    """WLAPI-10, A08."""
    create = ["entry", "create", "--spiffe-id", fresh_id(), "--selector", my_uid()]
    up.cli(*create, "--hint", "h" * 1025).refusal(FAILED, USAGE)
    up.cli(*create, "--hint", "h" * 1024).expect(0)


# --- Streams --------------------------------------------------------------------------------------


def test_a_stream_follows_the_entries_and_ends_with_the_last(up):
    """WLAPI-04, 06, 16: full messages, then PermissionDenied."""
    first, second = fresh_id("stream"), fresh_id("stream")
    entries = [up.register(first, my_uid())]
    with up.api() as api:
        watches = {method: api.watch(method) for method in STREAMS}
        x509 = watches["FetchX509SVID"]
        assert ids_of(x509.next()) == {first}
        for method in ("FetchX509Bundles", "FetchJWTBundles"):
            assert list(watches[method].next().bundles) == [f"spiffe://{TRUST_DOMAIN}"]
        entries.append(up.register(second, my_uid(), wait=False))
        assert ids_of(x509.next()) == {first, second}
        up.cli("entry", "delete", entries[0]["id"]).expect(0)
        assert ids_of(x509.next()) == {second}
        up.cli("entry", "delete", entries[1]["id"]).expect(0)
        for method, watch in watches.items():
            assert watch.end() == Ending(StatusCode.PERMISSION_DENIED, NO_IDENTITY_TEXT), method
        assert api.refusal("FetchX509SVID") == Ending(StatusCode.PERMISSION_DENIED, NO_IDENTITY_TEXT)


def test_a_stream_carries_a_change_of_an_entry(up):
    entry = up.register(fresh_id("stream"), my_uid(), flags=["--hint", "old"])
    with up.api() as api:
        watch = api.watch("FetchX509SVID")
        assert [svid.hint for svid in watch.next().svids] == ["old"]
        up.cli("entry", "update", entry["id"], "--hint", "new").expect(0)
        assert [svid.hint for svid in watch.until(lambda m: m.svids[0].hint != "old").svids] == ["new"]


def test_a_change_that_concerns_somebody_else_is_not_pushed(up):
    up.register(fresh_id("stream"), my_uid())
    with up.api() as api:
        watch = api.watch("FetchX509SVID")
        watch.next()
        up.register(fresh_id("stream"), "unix:uid:4294967")
        mine = fresh_id("stream")
        up.register(mine, my_uid())
        assert mine in ids_of(watch.next()), "the next message is the one that concerns this process"


@pytest.mark.limit(60)
def test_an_identity_ends_with_its_entry(up):
    """`--expires-at`: nothing outlives the entry, and the stream says so."""
    end = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0) + datetime.timedelta(seconds=6)
    up.register(fresh_id("end"), my_uid(), flags=["--expires-at", end.strftime("%Y-%m-%dT%H:%M:%SZ")])
    with up.api() as api:
        watch = api.watch("FetchX509SVID")
        [svid] = watch.next().svids
        assert certificates_in(svid.x509_svid)[0].not_valid_after_utc <= end
        assert claims_of(api.jwt("a")[0].svid)["exp"] <= end.timestamp()
        assert watch.end(within=30) == Ending(StatusCode.PERMISSION_DENIED, NO_IDENTITY_TEXT)
    assert datetime.datetime.now(datetime.timezone.utc) >= end
    assert up.ids() == []


def test_cancelling_a_stream_leaves_nothing_behind(up):
    up.register(fresh_id("cancel"), my_uid())
    with up.api() as api:
        api.first("FetchX509SVID")
        before = up.descriptors()
        for _ in range(100):
            api.first("FetchX509SVID")
        assert up.descriptors() <= before + 5
