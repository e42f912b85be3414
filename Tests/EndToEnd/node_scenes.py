"""What nodes are attested with: a TPM as swtpm emulates it, a fake of a cluster's API, and a web server with a bundle."""

from __future__ import annotations

import functools
import http.server
import json
import os
import shutil
import signal
import ssl
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from mintmark import HERE

MAKE = HERE.parents[1] / "certs" / "make"


class EmulatedTPM:
    """A TPM with an endorsement certificate, and a DevID key whose certificate `certs/make` signed."""

    def __init__(self, home: Path, certs: Path) -> None:
        tools = ("swtpm", "swtpm_setup", "swtpm_localca", "certtool", "tpm2")
        missing = [name for name in tools if shutil.which(name) is None]
        if missing:
            pytest.skip(f"needs swtpm, swtpm-tools, gnutls-bin and tpm2-tools: {', '.join(missing)} not found")
        self.folder = home / "tpm"
        self.process: subprocess.Popen[bytes] | None = None
        for name in ("state", "ca"):
            (self.folder / name).mkdir(parents=True)
        self.maker = self.folder / "ca" / "issuercert.pem"
        self.socket = self.folder / "socket"
        self._set_up()
        self._start()
        self._make_devid(certs)

    def close(self) -> None:
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(timeout=20)
            self.process = None

    def _run(self, *command: Any) -> None:
        environment = os.environ | {"TPM2TOOLS_TCTI": f"swtpm:path={self.socket}"}
        ended = subprocess.run(
            list(map(str, command)), check=False, timeout=60, env=environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        assert ended.returncode == 0, f"{command}: {ended.stdout.decode(errors='replace')}"

    def _set_up(self) -> None:
        authority = self.folder / "ca"
        (self.folder / "localca.conf").write_text(
            f"statedir = {authority}\nsigningkey = {authority}/signkey.pem\n"
            f"issuercert = {self.maker}\ncertserial = {authority}/certserial\n"
        )
        (self.folder / "localca.options").write_text("")
        (self.folder / "setup.conf").write_text(
            f"create_certs_tool = {shutil.which('swtpm_localca')}\n"
            f"create_certs_tool_config = {self.folder}/localca.conf\n"
            f"create_certs_tool_options = {self.folder}/localca.options\nactive_pcr_banks = sha256\n"
        )
        self._run(
            "swtpm_setup", "--tpm2", "--tpm-state", self.folder / "state", "--config", self.folder / "setup.conf",
            "--create-ek-cert",
        )  # fmt: skip

    def _start(self) -> None:
        self.process = subprocess.Popen(
            [
                "swtpm", "socket", "--tpm2", "--tpmstate", f"dir={self.folder}/state",
                "--server", f"type=unixio,path={self.socket}", "--ctrl", f"type=unixio,path={self.socket}.ctrl",
                "--flags", "not-need-init,startup-clear",
            ],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        deadline = time.monotonic() + 20
        while not self.socket.exists():
            assert time.monotonic() < deadline, "swtpm does not listen"
            time.sleep(0.02)

    def _make_devid(self, certs: Path) -> None:
        def tool(*words: Any) -> None:
            self._run("tpm2", *words)
            # Without a resource manager, what a tool loads stays.
            self._run("tpm2", "flushcontext", "--transient-object")

        root, key = self.folder / "root.ctx", self.folder / "key.ctx"
        self.public, self.private = self.folder / "devid.pub", self.folder / "devid.priv"
        storage = "restricted|decrypt|fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda"
        own = "sign|fixedtpm|fixedparent|sensitivedataorigin|userwithauth"
        tool("createprimary", "-C", "o", "-g", "sha256", "-G", "ecc256:null:aes128cfb", "-a", storage, "-c", root)
        tool(
            "create", "-C", root, "-g", "sha256", "-G", "ecc256:ecdsa-sha256:null", "-a", own, "-u", self.public,
            "-r", self.private,
        )  # fmt: skip
        tool("load", "-C", root, "-u", self.public, "-r", self.private, "-c", key)
        tool("readpublic", "-c", key, "-f", "pem", "-o", self.folder / "devid.pem")
        subprocess.run([MAKE, "--out", certs, "--devid", self.folder / "devid.pem"], check=True, timeout=60)
        self.certificates = self.folder / "chain.pem"
        self.certificates.write_text(
            (certs / "devid/devid.pem").read_text() + (certs / "devid/intermediate.pem").read_text()
        )


class HTTPSHost:
    """A web server on this machine, with the certificate of `certs/make` for listeners."""

    def __init__(self, certs: Path) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certs / "listener/listener.pem", certs / "listener/listener.key")
        self.authority = certs / "listener/ca.pem"
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Handler, self))
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = f"https://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def answer(self, method: str, path: str, authorization: str, body: bytes) -> tuple[int, bytes]:
        raise NotImplementedError


class BundleHost(HTTPSHost):
    """Gives away what it was told to, whatever the path."""

    text = ""

    def answer(self, method: str, path: str, authorization: str, body: bytes) -> tuple[int, bytes]:
        return (200, self.text.encode()) if method == "GET" and self.text else (404, b"")


class FakeCluster(HTTPSHost):
    """Answers the three questions that attestation asks of a cluster, of one token, one pod and one node.

    Nothing else of Kubernetes is here: TokenReview of `authentication.k8s.io/v1`, Pod and Node of `v1`.
    """

    token, issuer_token = "header.payload.signature", "issuer-token"
    pod_uid, node_uid = "79261129-6b60-11e9-9054-0800277ac80f", "5dbb7b21-65fe-11e9-b1b0-0800277ac80f"
    has_pod = True

    def answer(self, method: str, path: str, authorization: str, body: bytes) -> tuple[int, bytes]:
        if authorization != f"Bearer {self.issuer_token}":
            return 401, b"{}"
        objects: dict[tuple[str, str], dict[str, Any]] = {
            ("GET", "/api/v1/nodes/worker-3"): {
                "kind": "Node",
                "metadata": {"name": "worker-3", "uid": self.node_uid, "labels": {"zone": "b"}},
            },
        }
        if self.has_pod:
            objects["GET", "/api/v1/namespaces/spire/pods/spire-agent-v5wgr"] = {
                "kind": "Pod",
                "metadata": {"name": "spire-agent-v5wgr", "namespace": "spire", "uid": self.pod_uid},
                "spec": {"serviceAccountName": "spire-agent", "nodeName": "worker-3"},
                "status": {"hostIP": "172.16.10.1"},
            }
        if (method, path) == ("POST", "/apis/authentication.k8s.io/v1/tokenreviews"):
            return 201, json.dumps(self._review(json.loads(body)["spec"])).encode()
        found = objects.get((method, path))
        return (404, b"{}") if found is None else (200, json.dumps({"apiVersion": "v1"} | found).encode())

    def _review(self, asked: dict[str, Any]) -> dict[str, Any]:
        status: dict[str, Any] = {}
        if asked["token"] == self.token and "spire-server" in asked.get("audiences", []):
            extra = {"pod-name": "spire-agent-v5wgr", "pod-uid": self.pod_uid, "node-uid": self.node_uid}
            status = {
                "authenticated": True,
                "audiences": ["spire-server"],
                "user": {
                    "username": "system:serviceaccount:spire:spire-agent",
                    "extra": {f"authentication.kubernetes.io/{name}": [value] for name, value in extra.items()},
                },
            }
        return {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "status": status}


class _Handler(http.server.BaseHTTPRequestHandler):
    timeout = 10

    def __init__(self, host: HTTPSHost, *arguments: Any) -> None:
        self.host = host
        super().__init__(*arguments)

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        status, answer = self.host.answer(self.command, self.path, self.headers.get("Authorization") or "", body)
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *arguments: Any) -> None:
        pass
