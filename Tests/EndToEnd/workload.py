"""The Workload API, call by call, and the certificates in its answers."""

from __future__ import annotations

import dataclasses
import queue
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import grpc
from cryptography import x509
from spiffe._proto import workload_pb2

HEADER = (("workload.spiffe.io", "true"),)
NO_HEADER_TEXT = "security header missing from request"
NO_IDENTITY_TEXT = "no identity issued"

_RESPONSES = {
    "FetchX509SVID": (workload_pb2.X509SVIDRequest, workload_pb2.X509SVIDResponse),
    "FetchX509Bundles": (workload_pb2.X509BundlesRequest, workload_pb2.X509BundlesResponse),
    "FetchJWTSVID": (workload_pb2.JWTSVIDRequest, workload_pb2.JWTSVIDResponse),
    "FetchJWTBundles": (workload_pb2.JWTBundlesRequest, workload_pb2.JWTBundlesResponse),
    "ValidateJWTSVID": (workload_pb2.ValidateJWTSVIDRequest, workload_pb2.ValidateJWTSVIDResponse),
}
METHODS = tuple(_RESPONSES)
STREAMS = ("FetchX509SVID", "FetchX509Bundles", "FetchJWTBundles")


@dataclasses.dataclass(frozen=True)
class Ending:
    """How a call ended."""

    code: grpc.StatusCode
    details: str | None


class WorkloadAPI:
    """Calls on one connection, with every byte of the request in the test's hands."""

    def __init__(self, target: Path | str, options: Sequence[tuple[str, Any]] = ()) -> None:
        self.channel = grpc.insecure_channel(
            target if ":" in str(target) else f"unix:{target}",
            options=[
                ("grpc.use_local_subchannel_pool", 1),
                ("grpc.initial_reconnect_backoff_ms", 100),
                ("grpc.max_reconnect_backoff_ms", 500),
                ("grpc.enable_http_proxy", 0),
                *options,
            ],
        )

    def __enter__(self) -> WorkloadAPI:
        return self

    def __exit__(self, *_: Any) -> None:
        self.channel.close()

    def start(
        self, method: str, request: Any = None, metadata: Sequence[tuple[str, str]] = HEADER, timeout: float = 15.0
    ) -> Any:
        """Starts a call. A name with a slash is a full path; a request of bytes goes out as it is.

        Every call is started as one that may have many answers; on the wire, one with a single answer is the same.
        """
        path = method if "/" in method else f"/SpiffeWorkloadAPI/{method}"
        make, answer = _RESPONSES.get(method, (bytes, None))
        request = make() if request is None else request
        call = self.channel.unary_stream(
            path,
            request_serializer=lambda message: message if isinstance(message, bytes) else message.SerializeToString(),
            response_deserializer=answer.FromString if answer else bytes,
        )
        return call(request, metadata=metadata, timeout=timeout)

    def first(self, method: str, request: Any = None, **options: Any) -> Any:
        """The first answer; the call is given up after it."""
        call = self.start(method, request, **options)
        try:
            return next(call)
        except StopIteration:
            raise AssertionError(f"{method} ended with {call.code()} and without an answer") from None
        finally:
            call.cancel()

    def refusal(self, method: str, request: Any = None, **options: Any) -> Ending:
        """Expects no answer but a status."""
        try:
            answer = self.first(method, request, **options)
        except grpc.RpcError as error:
            return Ending(error.code(), error.details())
        raise AssertionError(f"{method} was answered: {answer!r}")

    def jwt(self, *audience: str, spiffe_id: str = "") -> list[Any]:
        request = workload_pb2.JWTSVIDRequest(audience=audience, spiffe_id=spiffe_id)
        return list(self.first("FetchJWTSVID", request).svids)

    def validate(self, token: str, audience: str) -> Any:
        return self.first("ValidateJWTSVID", workload_pb2.ValidateJWTSVIDRequest(audience=audience, svid=token))

    def watch(self, method: str) -> Watch:
        return Watch(self.start(method, timeout=170.0), method)


class Watch:
    """A stream, read on a thread of its own."""

    def __init__(self, call: Any, method: str) -> None:
        self.call, self.method = call, method
        self.messages: list[tuple[float, Any]] = []
        self._arrivals: queue.Queue[Any] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        try:
            for message in self.call:
                self.messages.append((time.time(), message))
                self._arrivals.put(message)
            self._arrivals.put(Ending(grpc.StatusCode.OK, ""))
        except grpc.RpcError as error:
            self._arrivals.put(Ending(error.code(), error.details()))

    def _arrival(self, within: float, awaited: str) -> Any:
        try:
            return self._arrivals.get(timeout=max(within, 0.001))
        except queue.Empty:
            raise AssertionError(f"{self.method}: no {awaited} arrived in time; so far: {self.messages!r}") from None

    def until(self, accept: Callable[[Any], bool], within: float = 10.0) -> Any:
        """The next message that is accepted; others before it are passed over."""
        deadline = time.monotonic() + within
        while True:
            message = self._arrival(deadline - time.monotonic(), "such message")
            assert not isinstance(message, Ending), f"{self.method} ended with {message}"
            if accept(message):
                return message

    def next(self, within: float = 10.0) -> Any:
        return self.until(lambda _: True, within)

    def end(self, within: float = 10.0) -> Ending:
        """How it ends; messages before that are passed over."""
        deadline = time.monotonic() + within
        while True:
            arrival = self._arrival(deadline - time.monotonic(), "end")
            if isinstance(arrival, Ending):
                return arrival

    def cancel(self) -> None:
        self.call.cancel()


def ids_of(message: Any) -> set[str]:
    return {svid.spiffe_id for svid in message.svids}


# --- Certificates ---------------------------------------------------------------------------------


def certificates_in(der: bytes) -> list[x509.Certificate]:
    """Splits DER certificates that follow each other without a separator."""
    found = []
    while der:
        assert der[0] == 0x30, f"no DER SEQUENCE where a certificate should start: {der[:8]!r}"
        length, header = der[1], 2
        if length & 0x80:
            header += length & 0x7F
            length = int.from_bytes(der[2:header], "big")
        found.append(x509.load_der_x509_certificate(der[: header + length]))
        der = der[header + length :]
    return found


def pem_certificates(text: str) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(text.encode())


def uris_of(certificate: x509.Certificate) -> list[str]:
    san = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return san.value.get_values_for_type(x509.UniformResourceIdentifier)
