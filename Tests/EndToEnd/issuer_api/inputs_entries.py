"""Fields of `spire.api.server.entry.v1.Entry`, and of what `mintmark.v1` adds to it."""

from __future__ import annotations

import uuid

import grpc

import stubs
from inputs import ANY_ID, ID, LONG, MATCH, MISSING, PAGE, SELECTOR, YEAR, Case, Wrong, under, without
from mintmark import sid

Code = grpc.StatusCode
E, R = "spire.api.server.entry.v1.Entry", "mintmark.v1.Registration"
api, own, types = stubs.entry, stubs.entries, stubs.types
TTLS = [-1, -(2**31), 10 * YEAR + 1, 2**31 - 1]

ENTRY = {
    "id": ["a/b", "i" * 256, ".hidden", "a b", "ü"],
    "spiffe_id": [None],
    **under("spiffe_id", ID | {"path": [*ID["path"], "/spire/agent/x", "/spire/server", "/spire/"]}),
    "parent_id": [None],
    **under("parent_id", ID | {"path": ID["path"][1:]}),
    "selectors": [[], [types.Selector(type="unix", value=f"uid:{n}") for n in range(65)]],
    **under("selectors", SELECTOR),
    "x509_svid_ttl": TTLS,
    "jwt_svid_ttl": TTLS,
    "federates_with": [
        ["example.org"], ["Not.Example"], [""], [f"n{n}.example" for n in range(65)],
        Wrong(["nowhere.example"], Code.FAILED_PRECONDITION),
    ],
    "expires_at": [1, -5, 2**62, -(2**63)],
    "dns_names": [["not a name"], [""], ["-a.example"], ["a" * 64 + ".example"], [f"n{n}.example" for n in range(65)]],
    "hint": ["h" * 1025],
}  # fmt: skip
# The server's own; what a caller says of them is passed over.
OUTPUT_ONLY = {"revision_number": [-1, 2**62], "created_at": [-1, 2**62]}

FILTER = {
    **under("by_spiffe_id", ANY_ID), **under("by_parent_id", ANY_ID),
    "by_selectors.selectors": [[]], **under("by_selectors", MATCH),
    "by_federates_with.trust_domains": [[], ["UPPER"], [""]], "by_federates_with.match": [4, -1],
}  # fmt: skip
FREE_FILTER = {"by_hint.value": ["", LONG, "\x00"]}


def filled(filter_class):
    """A filter in which everything is asked for."""
    return filter_class(
        by_spiffe_id=stubs.id_of(sid("/a")), by_parent_id=stubs.id_of(sid("/b")),
        by_selectors=types.SelectorMatch(selectors=[types.Selector(type="unix", value="uid:1")]),
        by_federates_with=types.FederatesWithMatch(trust_domains=["far.example"]), by_hint={"value": "h"},
        by_downstream={"value": False},
    )


def whole_mask():
    """Every field that can be changed."""
    return types.EntryMask(
        **{field.name: True for field in types.EntryMask.DESCRIPTOR.fields if field.name not in OUTPUT_ONLY}
    )


def changed(world):
    """An entry that exists, to be changed."""
    return world.entry()


LISTING = Case(
    lambda world: api.ListEntriesRequest(filter=filled(api.ListEntriesRequest.Filter), page_size=1),
    PAGE | under("filter", FILTER), under("filter", FREE_FILTER),
)  # fmt: skip
GETTING = Case(
    lambda world: api.GetEntryRequest(id=world.entry().id), {"id": ["", Wrong("missing", MISSING), Wrong(LONG, MISSING)]}
)

DETAILS = {
    "description": ["d" * 2049, "\x00"], "owner": ["o" * 256, "a\nb"], "purpose": ["p" * 256, "\x7f"],
    "labels": [{"": "x"}, {"a b": "x"}, {"k" * 64: "x"}, {"k": "v" * 256}, {f"k{n}": "" for n in range(33)}],
    "class": [4, -1], "not_before": [2**62, -1, -(2**63)],
    "audiences": [[""], ["a" * 1025], ["a\x00"], [f"a{n}" for n in range(33)]],
    "key_type": ["dsa", LONG],
    "rules.any_of": [[own.Rules.Group()], [own.Rules.Group(selectors=[types.Selector(type="unix", value="gid:1")])] * 17],
    **under("rules.any_of.selectors", SELECTOR), **under("rules.none_of", SELECTOR),
    "rules.digest_sets": [["a/b"], Wrong(["missing"], MISSING), [f"d{n}" for n in range(9)]],
    "id_template": ["no-place", "{nothing:known}", "{unix:user", "/{unix:user}", "{unix:user}/../x", "{unix:user}" * 60],
}  # fmt: skip

CASES = {
    f"{E}/CountEntries": Case(
        lambda world: api.CountEntriesRequest(filter=filled(api.CountEntriesRequest.Filter)),
        under("filter", FILTER), under("filter", FREE_FILTER),
    ),
    f"{E}/ListEntries": LISTING,
    f"{E}/GetEntry": GETTING,
    f"{E}/BatchCreateEntry": Case(
        lambda world: api.BatchCreateEntryRequest(entries=[world.new_entry()]),
        under("entries", ENTRY) | {"entries": [lambda world: [world.new_entry()] * 1001]}, under("entries", OUTPUT_ONLY),
    ),
    f"{E}/BatchUpdateEntry": Case(
        lambda world: api.BatchUpdateEntryRequest(entries=[changed(world)], input_mask=whole_mask()),
        under("entries", ENTRY) | {
            "entries.id": ["", Wrong("missing", MISSING), Wrong("a/b", MISSING)],
            "entries": [lambda world: [world.new_entry()] * 1001],
        },
        under("entries", OUTPUT_ONLY),
    ),
    f"{E}/BatchDeleteEntry": Case(
        lambda world: api.BatchDeleteEntryRequest(ids=[world.entry().id]),
        {"ids": [[""], Wrong(["missing"], MISSING), Wrong([LONG], MISSING), ["i"] * 1001]},
    ),
    f"{E}/GetAuthorizedEntries": Case(lambda world: api.GetAuthorizedEntriesRequest(), by="agent"),
    f"{E}/SyncAuthorizedEntries": Case(
        lambda world: [api.SyncAuthorizedEntriesRequest(output_mask=types.EntryMask(revision_number=True))],
        {"ids": [["x"], [""], ["x"] * 10_001]}, by="agent",
    ),
    f"{R}/CreateEntries": Case(
        lambda world: own.CreateEntriesRequest(items=[{"entry": world.new_entry(), "force": True}]),
        under("items.entry", ENTRY) | under("items.details", DETAILS) | {
            "items.min_assurance": [4, 2**32 - 1],
            "items": [lambda world: [own.CreateEntriesRequest.Item(entry=world.new_entry())] * 1001],
        },
        under("items.entry", OUTPUT_ONLY),
    ),
    f"{R}/UpdateEntries": Case(
        lambda world: own.UpdateEntriesRequest(
            items=[
                {
                    "entry": changed(world), "mask": whole_mask(), "force": True,
                    "details_mask": own.DetailsMask(**{f.name: True for f in own.DetailsMask.DESCRIPTOR.fields}),
                }
            ]
        ),
        under("items.entry", without(ENTRY, "id")) | under("items.details", DETAILS) | {
            "items.min_assurance": [4, 2**32 - 1],
            "items.entry.id": ["", Wrong("missing", MISSING)],
            "items": [lambda world: [own.UpdateEntriesRequest.Item(entry=world.new_entry())] * 1001],
        },
        under("items.entry", OUTPUT_ONLY),
    ),
    f"{R}/GetEntry": GETTING,
    f"{R}/ListEntries": LISTING,
    "mintmark.v1.AuthorizedEntries/Sync": Case(
        lambda world: own.SyncRequest(vocabulary=1), {"ids": [["x"], ["x"] * 10_001]}, {"vocabulary": [0, 2**32 - 1]},
        by="agent",
    ),
    "mintmark.v1.Propagation/AwaitEntry": Case(
        lambda world: stubs.propagation.AwaitEntryRequest(entry_id=world.entry().id, timeout_ms=10),
        {"entry_id": ["", "missing", LONG]}, {"timeout_ms": [0, 1]}, code=MISSING,
    ),
    "mintmark.v1.Propagation/AwaitCurrent": Case(
        lambda world: stubs.propagation.AwaitCurrentRequest(timeout_ms=10), free={"timeout_ms": [0, 1]}
    ),
    "mintmark.v1.Propagation/Follow": Case(
        lambda world: stubs.propagation.FollowRequest(applied_revision=1), free={"applied_revision": [0, 2**64 - 1]},
        by="agent",
    ),
}  # fmt: skip


def document(text: str, name: str = "a.yaml"):
    return stubs.declarations.Document(name=name, text=text)


def declared(path: str = "") -> str:
    path = path or f"/declared/{uuid.uuid4().hex}"
    return f'{{"entries": [{{"spiffe_id": "{sid(path)}", "selectors": ["unix:uid:4711"], ' \
        f'"parent_id": "{sid("/spire/agent/none/at-all")}"}}]}}'


TEXTS = [
    "entries: [", "nonsense: 1", "entries: 7", "[]", "\x00", declared("/spire/agent/x"),
    declared().replace("example.org", "other.example"), declared().replace("unix:uid:4711", "unix"),
]  # fmt: skip

CASES |= {
    "mintmark.v1.Declarations/Apply": Case(
        lambda world: stubs.declarations.ApplyRequest(
            documents=[document(declared())], managed_by=f"k{uuid.uuid4().hex[:8]}"
        ),
        {
            "documents.text": TEXTS, "managed_by": ["", "k" * 256],
            "documents": [[document("entries: []")] * 10_001],
            "expected_plan": ["another", LONG],
        },
        {"documents.name": ["", LONG, "../x", "\x00"]},
    ),
    "mintmark.v1.Declarations/Lint": Case(
        lambda world: stubs.declarations.LintRequest(documents=[document(declared())]),
        {"documents.text": TEXTS}, {"documents.name": ["", LONG, "../x", "\x00"]},
    ),
}  # fmt: skip

D = "mintmark.v1.DigestSets"
DIGEST = "ab" * 32
SHA256 = [[], ["zz"], [DIGEST.upper()], [DIGEST[:-1]], [f"{n:064x}" for n in range(257)]]
NAMES = ["", ".x", "a/b", "n" * 64, "a b", LONG]


def digest_set(world) -> str:
    name = f"d{uuid.uuid4().hex[:12]}"
    world.local.call(f"{D}/Create", stubs.digests.CreateDigestSetRequest(name=name, sha256=[DIGEST]))
    return name


CASES |= {
    f"{D}/Create": Case(
        lambda world: stubs.digests.CreateDigestSetRequest(name=f"d{uuid.uuid4().hex[:12]}", sha256=[DIGEST]),
        {
            "name": [*NAMES, lambda world: Wrong(digest_set(world), Code.ALREADY_EXISTS)],
            "sha256": SHA256, "keeps": [17, 2**32 - 1], "grace_seconds": [-1, YEAR + 1, 2**63 - 1],
        },
    ),
    f"{D}/AddVersion": Case(
        lambda world: stubs.digests.AddDigestSetVersionRequest(name=digest_set(world), sha256=["cd" * 32]),
        {"name": [Wrong(name, MISSING) for name in NAMES], "sha256": SHA256},
    ),
    f"{D}/Get": Case(
        lambda world: stubs.digests.GetDigestSetRequest(name=digest_set(world)), {"name": NAMES}, code=MISSING
    ),
    f"{D}/List": Case(lambda world: stubs.digests.ListDigestSetsRequest(page_size=1), PAGE),
    f"{D}/Delete": Case(
        lambda world: stubs.digests.DeleteDigestSetRequest(name=digest_set(world)), {"name": NAMES}, code=MISSING
    ),
}  # fmt: skip
