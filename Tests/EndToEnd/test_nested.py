"""A server below another: what it signs leads to the roots above, and its JWT keys are known there."""

from __future__ import annotations

import pytest
import yaml
from cryptography import x509

from mintmark import BAD_CONFIG, FAILED, NOT_PERMITTED, Server, fresh_id, my_uid, openssl, poll, run, sid
from tokens import header_of, verify


def split_chain(folder):
    """The leaf and the rest of a fetched chain, in files of their own."""
    certificates = x509.load_pem_x509_certificates((folder / "svid.0.pem").read_bytes())
    blocks = (folder / "svid.0.pem").read_text().split("-----END CERTIFICATE-----\n")
    blocks = [block + "-----END CERTIFICATE-----\n" for block in blocks if block.strip()]
    (folder / "leaf.pem").write_text(blocks[0])
    (folder / "rest.pem").write_text("".join(blocks[1:]))
    return certificates


def fetched(roles, agent, name):
    folder = roles.home / name
    folder.mkdir()
    agent.fetch("fetch", "x509", "--write", folder).expect(0)
    return folder


# --- Another issuer above -------------------------------------------------------------------------


@pytest.fixture
def nested(roles):
    """A root server with an agent, and a server below it with an agent of its own."""
    root = roles.server("root")
    root_agent = roles.agent(root, "root-agent").join(root)
    # The server below is a process of this user, as the tests are.
    root.register(sid("/downstream"), my_uid(), flags=["--downstream"])
    below = roles.server(
        "below",
        upstream_authority={
            "kind": "issuer",
            "server_address": root.address,
            "workload_socket": root_agent.endpoint,
        },
    )
    agent = roles.agent(below, "agent").join(below)
    return root, root_agent, below, agent


@pytest.mark.limit(150)
def test_what_a_server_below_signs_is_verified_by_the_root_bundle(roles, nested):
    root, root_agent, below, agent = nested
    identity = fresh_id("nested")
    below.register(identity, my_uid())
    poll("the workload's identity", lambda: agent.ids() == [identity])
    folder = fetched(roles, agent, "workload")
    leaf, authority = split_chain(folder)
    root_bundle = root.write_bundle()
    openssl(
        "verify", "-x509_strict", "-CAfile", root_bundle, "-untrusted", folder / "rest.pem", folder / "leaf.pem"
    ).expect(0)
    assert openssl("verify", "-CAfile", root_bundle, folder / "leaf.pem").code != 0, "the chain is needed"
    assert leaf.issuer == authority.subject
    [unit] = authority.subject.get_attributes_for_oid(x509.NameOID.ORGANIZATIONAL_UNIT_NAME)
    assert unit.value == "DOWNSTREAM-1"
    assert authority.not_valid_after_utc <= root.authorities()[0][0].not_valid_after_utc
    # Below, the roots are those above, and none of its own.
    assert below.authorities()[0] == root.authorities()[0]


@pytest.mark.limit(150)
def test_tokens_of_a_server_below_are_verified_beside_the_root(roles, nested):
    root, root_agent, below, agent = nested
    identity = fresh_id("nested")
    below.register(identity, my_uid())
    poll("the workload's identity", lambda: agent.ids() == [identity])
    with agent.api() as api:
        token = api.jwt("a")[0].svid
    key = header_of(token)["kid"]
    assert key in root.authorities()[1], "the key was published upstream"
    verify(token, root.authorities()[1], "a")
    with root_agent.api() as api:
        poll("the root's agent knows the key", lambda: api.validate(token, "a").spiffe_id == identity, ignoring=(Exception,))
    # And a token of the root is good below.
    with root_agent.api() as api:
        above = api.jwt("a")[0].svid
    poll("the key of the root below", lambda: header_of(above)["kid"] in below.authorities()[1])
    with agent.api() as api:
        poll("the agent below knows it", lambda: api.validate(above, "a").spiffe_id == sid("/downstream"), ignoring=(Exception,))


@pytest.mark.limit(150)
def test_a_server_below_serves_on_while_the_root_is_away(roles, nested):
    root, root_agent, below, agent = nested
    root.stop()
    below.wait_log("upstream authority cannot be asked")
    identity = fresh_id("nested")
    below.register(identity, my_uid())
    poll("the workload's identity", lambda: agent.ids() == [identity])
    root.start()
    poll("the server above answers again", lambda: below.log.count("upstream authority answers") == 2, within=30)


@pytest.mark.limit(90)
def test_a_server_that_the_root_does_not_know_does_not_start(roles):
    root = roles.server("root")
    root_agent = roles.agent(root, "root-agent").join(root)
    root.register(sid("/plain"), my_uid())
    below = roles.keep(Server(roles.home, "below", upstream_authority={
        "kind": "issuer", "server_address": root.address, "workload_socket": root_agent.endpoint,
    }))
    below.start(wait=False)
    below.wait_exit(within=60).refusal(NOT_PERMITTED, saying=["downstream callers", "entry create --downstream"])


# --- Files above ----------------------------------------------------------------------------------


@pytest.fixture
def files(home):
    """A root and an intermediate, made by openssl."""

    def make(name, subject, *options):
        openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", home / f"{name}.key").expect(0)
        openssl(
            "req", "-x509", "-new", "-key", home / f"{name}.key", "-subj", subject, "-days", "1",
            "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign",
            "-out", home / f"{name}.pem", *options,
        ).expect(0)

    make("root", "/O=Example/CN=root")
    make("middle", "/O=Example/CN=middle", "-CA", home / "root.pem", "-CAkey", home / "root.key")
    return home


@pytest.mark.limit(90)
def test_a_ca_in_files_signs_this_servers_authorities(roles, files):
    server = roles.server(upstream_authority={
        "kind": "disk",
        "certificate_file": str(files / "middle.pem"),
        "key_file": str(files / "middle.key"),
        "bundle_file": str(files / "root.pem"),
    })
    agent = roles.agent(server).join(server)
    server.register(fresh_id("files"), my_uid())
    folder = fetched(roles, agent, "workload")
    assert len(split_chain(folder)) == 3
    openssl(
        "verify", "-x509_strict", "-CAfile", files / "root.pem", "-untrusted", folder / "rest.pem", folder / "leaf.pem"
    ).expect(0)
    assert [c.subject for c in server.authorities()[0]] == [
        x509.load_pem_x509_certificate((files / "root.pem").read_bytes()).subject
    ]


@pytest.mark.limit(90)
def test_keys_in_memory_go_well_with_an_upstream(roles, files):
    upstream = {"kind": "disk", "certificate_file": str(files / "root.pem"), "key_file": str(files / "root.key")}
    server = roles.server(upstream_authority=upstream, key_store={"kind": "memory"})
    agent = roles.agent(server).join(server)
    first = fresh_id("memory")
    server.register(first, my_uid())
    poll("the first identity", lambda: agent.ids() == [first])
    server.stop()
    server.start()
    # New keys under the same root, so the agent goes on trusting the server.
    second = fresh_id("memory")
    server.register(second, my_uid())
    poll("the second identity", lambda: sorted(agent.ids()) == sorted([first, second]), within=30)
    folder = fetched(roles, agent, "workload")
    split_chain(folder)
    openssl(
        "verify", "-x509_strict", "-CAfile", files / "root.pem", "-untrusted", folder / "rest.pem", folder / "leaf.pem"
    ).expect(0)


@pytest.mark.limit(60)
def test_files_that_do_not_fit_together_end_the_start(roles, files):
    server = roles.keep(Server(roles.home, upstream_authority={
        "kind": "disk", "certificate_file": str(files / "middle.pem"), "key_file": str(files / "root.key"),
        "bundle_file": str(files / "root.pem"),
    }))
    server.start(wait=False)
    server.wait_exit().refusal(FAILED, saying=["the key is not that of the first certificate", "middle.pem"])


@pytest.mark.parametrize(
    "block, saying",
    [
        ({"kind": "vault"}, ["upstream_authority.kind", "disk or issuer"]),
        ({"kind": "disk", "key_file": "/x"}, ["upstream_authority.kind disk needs upstream_authority.certificate_file"]),
        ({"kind": "issuer", "server_address": "h:1"}, ["needs upstream_authority.workload_socket"]),
        ({"kind": "issuer", "server_address": "h", "workload_socket": "unix:///s"}, ["'h' is not a server address"]),
        ({"kind": "issuer", "server_address": "h:1", "workload_socket": "/s"}, ["upstream_authority.workload_socket"]),
        ({"kind": "issuer", "bundle_file": "/b"}, ["means nothing with upstream_authority.kind issuer"]),
        ({"key_file": "/k"}, ["upstream_authority.key_file means nothing"]),
    ],
)
def test_an_upstream_that_makes_no_sense_is_refused_by_name(home, block, saying):
    path = home / "server.yaml"
    path.write_text(yaml.safe_dump({"trust_domain": "example.org", "upstream_authority": block}))
    run("server", "validate", "--config", path).refusal(BAD_CONFIG, saying=saying)
