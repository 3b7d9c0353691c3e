"""What is taken for LocalStack, asked over HTTP."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from infra.local import cloud
from infra.local.environment import LocalError


class Answering(BaseHTTPRequestHandler):
    """Knows some addresses."""

    known: dict[str, bytes]

    def do_GET(self) -> None:
        """Answers what is known."""
        body = self.known.get(self.path)
        self.send_response(404 if body is None else 200)
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


@pytest.fixture
def endpoint() -> Iterator[str]:
    """A server's address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("in_docker", [True, False])
def test_a_localstack_says_in_what_its_functions_run(endpoint: str, in_docker: bool) -> None:
    said = b'{"is_docker": true}' if in_docker else b'{"is_docker": false}'
    Answering.known = {"/_localstack/info": said}
    running = cloud.attach(endpoint)
    assert cloud.functions_run_in(running.endpoint) == ("container" if in_docker else "host")


def test_the_embedded_local_aws_is_not_taken_for_localstack(endpoint: str) -> None:
    Answering.known = {"/_localstack/health": b"{}"}
    with pytest.raises(LocalError, match="make down"):
        cloud.attach(endpoint)


def test_without_a_localstack_one_is_told_how_to_start_it() -> None:
    with pytest.raises(LocalError, match="docker compose up"):
        cloud.attach(f"http://127.0.0.1:{cloud.free_port()}")
