"""What certs/make makes is taken by what it is made for; nodes are in test_node_attestation.py."""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
from pathlib import Path

import pytest
from cryptography import x509

from mintmark import fresh_id, my_uid, openssl
from node_scenes import MAKE
from rotation import Subject, own_key


@pytest.fixture(scope="module")
def certs(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("material") / "certs"
    subprocess.run([MAKE, "--out", folder], check=True, timeout=60)
    return folder


@pytest.mark.limit(60)
@pytest.mark.parametrize("authority", ["root", "issuing"])
def test_a_server_signs_under_the_upstream_authority(roles, certs, authority):
    upstream = {"kind": "disk", "key_file": str(certs / f"upstream/{authority}.key")}
    if authority == "root":
        upstream["certificate_file"] = str(certs / "upstream/root.pem")
    else:
        upstream |= {
            "certificate_file": str(certs / "upstream/issuing.pem"), "bundle_file": str(certs / "upstream/root.pem"),
        }  # fmt: skip
    server = roles.server(upstream_authority=upstream)
    agent = roles.agent(server).join(server)
    server.register(fresh_id("certs"), my_uid())
    subject = Subject(roles.home, agent)
    try:
        subject.check()
        subject.check_token()
        root = x509.load_pem_x509_certificate((certs / "upstream/root.pem").read_bytes())
        assert subject.top == own_key(root)
        assert server.authorities()[0] == [root]
        assert len(subject.chain) == (2 if authority == "root" else 3)
    finally:
        subject.close()


def test_a_chain_file_is_the_certificate_and_what_is_above_it(roles, certs):
    """The same in one file, as many tools write it."""
    server = roles.server(upstream_authority={
        "kind": "disk", "certificate_file": str(certs / "upstream/chain.pem"),
        "key_file": str(certs / "upstream/issuing.key"), "bundle_file": str(certs / "upstream/root.pem"),
    })
    root = x509.load_pem_x509_certificate((certs / "upstream/root.pem").read_bytes())
    assert server.authorities()[0] == [root]


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
def test_a_listener_is_believed_by_its_authority_and_no_other(certs, name):
    def handshake(authority: Path) -> None:
        serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        serving.load_cert_chain(certs / "listener/listener.pem", certs / "listener/listener.key")
        with socket.create_server(("127.0.0.1", 0)) as listener:
            def serve() -> None:
                connection, _ = listener.accept()
                with connection:
                    connection.settimeout(5)
                    try:
                        serving.wrap_socket(connection, server_side=True).close()
                    except OSError:
                        pass

            thread = threading.Thread(target=serve)
            thread.start()
            try:
                asking = ssl.create_default_context(cafile=authority)
                with socket.create_connection(listener.getsockname(), timeout=5) as connection:
                    asking.wrap_socket(connection, server_hostname=name).close()
            finally:
                thread.join(10)

    handshake(certs / "listener/ca.pem")
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(certs / "nodes/ca.pem")


def test_the_nodes_chain_verifies_and_what_should_not_does_not(certs):
    nodes = certs / "nodes"
    under = ["-CAfile", nodes / "ca.pem", "-untrusted", nodes / "intermediate.pem"]
    for node in ("node-ec", "node-rsa"):
        openssl("verify", "-x509_strict", "-purpose", "sslclient", *under, nodes / f"{node}.pem").expect(0)
    for node, why in (("expired", "expired"), ("stranger", "unable to get local issuer")):
        refused = openssl("verify", *under, nodes / f"{node}.pem")
        assert refused.code != 0 and why in refused.err


def test_keys_are_for_their_owner_alone_and_a_second_run_changes_nothing(certs):
    def state() -> dict[str, tuple[int, int]]:
        return {
            str(path.relative_to(certs)): (path.stat().st_mtime_ns, path.stat().st_mode & 0o777)
            for path in certs.rglob("*") if path.is_file()
        }  # fmt: skip

    before = state()
    assert len(before) > 30
    for name, (_, mode) in before.items():
        assert mode & 0o077 == 0, f"{name} is readable by others"
    subprocess.run([MAKE, "--out", certs], check=True, timeout=60)
    assert state() == before


def test_a_folder_that_it_did_not_make_is_left_alone(tmp_path):
    (tmp_path / "precious").write_text("mine")
    ended = subprocess.run([MAKE, "--out", tmp_path], capture_output=True, text=True, timeout=60)
    assert ended.returncode == 73 and "was not made by certs/make" in ended.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["precious"]
