"""Deliveries over TLS: the certificate is that of the host name, although the connection goes to an address."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.support.webhooks import an_event
from trimtab.kernel.clock import utc_now
from trimtab.webhooks.adapters.sender import WebhookSender
from trimtab.webhooks.domain.deliveries import Attempt


def write_certificate(host: str, directory: Path) -> Path:
    """Write a self-signed certificate of a host with its key, and return the file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name, now = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)]), datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = directory / "certificate.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    return path


@contextmanager
def serving_tls(certificate: Path) -> Iterator[tuple[int, list[bytes]]]:
    """Answer one request with 204 over TLS; provide the port, and the requests received."""
    received: list[bytes] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            with suppress(OSError), context.wrap_socket(server.accept()[0], server_side=True) as connection:
                request = b""
                while not request.endswith(b"}"):  # headers and body may arrive apart
                    request += connection.recv(65_536)
                received.append(request)
                connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        yield server.getsockname()[1], received
        thread.join(timeout=30)


def send_to(host: str, certificate: Path) -> tuple[Attempt, list[bytes]]:
    """Send an event to a host name that resolves to this computer and whose certificate is trusted."""
    trusting = ssl.create_default_context(cafile=str(certificate))
    resolved = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0))]
    with (
        serving_tls(certificate) as (port, received),
        mock.patch.object(socket, "getaddrinfo", side_effect=_answering(host, resolved)),
        mock.patch.object(ssl, "create_default_context", return_value=trusting),
    ):
        url = f"https://{host}:{port}/hooks"
        attempt = WebhookSender(True).send(url, ["whsec_aGVsbG8="], an_event(1), utc_now())
    return attempt, received


def _answering(host: str, answers: Any) -> Any:
    resolve = socket.getaddrinfo
    return lambda name, *arguments, **options: answers if name == host else resolve(name, *arguments, **options)


def test_the_host_name_is_sent_and_verified_over_the_checked_address(tmp_path: Path) -> None:
    attempt, (request,) = send_to("hooks.example.com", write_certificate("hooks.example.com", tmp_path))
    assert (attempt.status, attempt.error) == (204, None)
    assert request.startswith(b"POST /hooks HTTP/1.1\r\n")
    assert b"\r\nHost: hooks.example.com:" in request


def test_a_certificate_of_another_host_is_refused_and_nothing_is_sent(tmp_path: Path) -> None:
    attempt, received = send_to("hooks.example.com", write_certificate("other.example.com", tmp_path))
    assert attempt.status is None
    assert "SSLCertVerificationError" in str(attempt.error)
    assert received in ([], [b""])
