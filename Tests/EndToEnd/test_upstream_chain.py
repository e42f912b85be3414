"""A whole chain of issuers: how far down it may go, and what is said while something above cannot be had."""

from __future__ import annotations

import grpc
import pytest
from cryptography import x509

from mintmark import FAILED, NOT_PERMITTED, Server, fresh_id, my_uid, openssl, poll, sid
from rotation import Subject, show


def make_root(home, name: str, path_length: int | None) -> dict[str, str]:
    """A root of openssl, and the settings of a server under it."""
    key, certificate = home / f"{name}.key", home / f"{name}.pem"
    limit = "" if path_length is None else f",pathlen:{path_length}"
    openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key).expect(0)
    openssl(
        "req", "-x509", "-new", "-key", key, "-subj", f"/O=Example/CN={name}", "-days", "1",
        "-addext", f"basicConstraints=critical,CA:TRUE{limit}", "-addext", "keyUsage=critical,keyCertSign,cRLSign",
        "-out", certificate,
    ).expect(0)  # fmt: skip
    return {"kind": "disk", "certificate_file": str(certificate), "key_file": str(key)}


def below(roles, server, agent, name: str):
    """A server below another, not started yet; its upstream knows it."""
    return roles.keep(Server(roles.home, name, upstream_authority={
        "kind": "issuer", "server_address": server.address, "workload_socket": agent.endpoint,
    }))  # fmt: skip


def path_length(certificate: x509.Certificate) -> int | None:
    return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length


@pytest.mark.limit(120)
def test_a_chain_goes_down_as_far_as_its_root_allows_and_no_further(roles):
    """Three servers under a root that allows two below itself: the third is told why it cannot start."""
    first = roles.server("first", upstream_authority=make_root(roles.home, "root", path_length=2))
    first_agent = roles.agent(first, "first-agent").join(first)
    first.register(sid("/downstream"), my_uid(), flags=["--downstream"])
    second = below(roles, first, first_agent, "second")
    second.start()
    second_agent = roles.agent(second, "second-agent").join(second)
    second.register(sid("/downstream"), my_uid(), flags=["--downstream"])

    subject = Subject(roles.home, second_agent)
    try:
        # The workload of the second, verified by the root through both.
        subject.check()
        leaf, *above = subject.chain
        assert [path_length(certificate) for certificate in above] == [0, 1]
    finally:
        subject.close()

    # The second may have one below it by the root's word only if its own authority may: it has path length 0.
    third = below(roles, second, second_agent, "third")
    third.start(wait=False)
    third.wait_exit(within=60).refusal(NOT_PERMITTED, saying=["path length", "see the log of the server"])
    # What never signed is not published either: started again and again, it would fill what those above keep of it.
    assert set(second.authorities()[1]) <= {show(server, "jwt")["active"]["id"] for server in (first, second)}
    # And it takes nothing with it: those above go on.
    identity = fresh_id("chain")
    second.register(identity, my_uid())
    poll("the new identity", lambda: identity in second_agent.ids())


@pytest.mark.limit(60)
def test_a_root_that_allows_nobody_below_is_named(roles):
    server = roles.keep(Server(roles.home, upstream_authority=make_root(roles.home, "root", path_length=0)))
    server.start(wait=False)
    server.wait_exit().refusal(FAILED, saying=["path length 0"])


# --- Health -----------------------------------------------------------------------------------------


def standing(server, part: str = "") -> str:
    """What grpc.health.v1 says of a server or a part of it."""
    request = b"\x0a" + bytes([len(part)]) + part.encode() if part else b""
    with grpc.insecure_channel(f"unix:{server.admin_socket}") as channel:
        answer = channel.unary_unary("/grpc.health.v1.Health/Check")(request, timeout=5)
    return {1: "serving", 2: "not serving"}[answer[1]]


@pytest.mark.limit(90)
def test_health_tells_of_a_successor_that_is_late_while_the_server_serves_on(roles):
    upstream = make_root(roles.home, "root", path_length=None)
    server = roles.server(upstream_authority=upstream, ca_ttl="14s", x509_svid_ttl="2s")
    assert standing(server) == standing(server, "authorities") == "serving"
    key = roles.home / "root.key"
    kept = key.read_text()
    key.write_text("no key\n")
    poll("the part to say that the successor is late", lambda: standing(server, "authorities") == "not serving", within=30)
    assert standing(server) == "serving", "what it has still signs"
    assert show(server, "x509")["prepared"] is None
    assert "successor" in server.log or "upkeep failed" in server.log
    key.write_text(kept)
    poll("the part to be well again", lambda: standing(server, "authorities") == "serving", within=20)
    assert show(server, "x509")["prepared"] is not None or standing(server) == "serving"
