"""How soon an entry counts, and that `--wait` means what it says."""

from __future__ import annotations

import concurrent.futures
import time

import pytest

from mintmark import FAILED, fresh_id, my_uid, poll, sid
from workload import ids_of


def test_an_open_stream_has_a_new_entry_within_a_second(up):
    up.register(fresh_id("soon"), my_uid())
    with up.api() as api:
        watch = api.watch("FetchX509SVID")
        watch.next()
        for _ in range(5):
            identity = fresh_id("soon")
            up.register(identity, my_uid(), wait=False)
            created = time.monotonic()
            watch.until(lambda message: identity in ids_of(message))
            took = time.monotonic() - created
            assert took <= 1.0, f"pushed {took:.2f} s after 'entry create' had ended"


def test_a_new_workload_is_served_within_a_second_of_its_registration(up):
    """From refused to issued, asking again and again."""
    assert up.ids() == []
    identity = fresh_id("soon")
    up.register(identity, my_uid(), wait=False)
    created = time.monotonic()
    poll("the identity", lambda: up.ids() == [identity], every=0.02)
    took = time.monotonic() - created
    assert took <= 1.0, f"issued {took:.2f} s after 'entry create' had ended"


def test_after_wait_the_first_question_is_answered(up):
    expected = set()
    for _ in range(10):
        identity = fresh_id("wait")
        up.register(identity, my_uid())
        expected.add(identity)
        assert set(up.ids()) == expected


def test_a_deleted_entry_is_served_no_longer(up):
    entry = up.register(fresh_id("gone"), my_uid())
    assert up.ids() == [entry["spiffe_id"]]
    up.cli("entry", "delete", entry["id"]).expect(0)
    deleted = time.monotonic()
    poll("the identity to go", lambda: up.ids() == [], every=0.02)
    took = time.monotonic() - deleted
    assert took <= 2.0, f"gone {took:.2f} s after 'entry delete' had ended"


@pytest.mark.limit(60)
def test_of_many_who_create_the_same_entry_one_succeeds(up):
    identity = sid("/race")

    def create(_):
        return up.cli("entry", "create", "--spiffe-id", identity, "--selector", my_uid(), timeout=40)

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        results = list(pool.map(create, range(8)))
    assert sorted(result.code for result in results) == [0] + [FAILED] * 7, results
    for result in results:
        if result.code != 0:
            result.refusal(FAILED, saying=["already exists"])
    assert [entry["spiffe_id"] for entry in up.entries()] == [identity]
    assert up.json("entry", "count") == {"count": 1}
