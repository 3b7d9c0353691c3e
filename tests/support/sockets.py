"""WebSocket clients for tests: events of connections as API Gateway sends them, and a real management API."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any
from unittest import mock
from urllib.parse import unquote

from functions.webhooks_on_connection import handler as connection_function
from tests.support.loopback import LoopbackServer
from tests.support.system import System, forget_cached, payload
from tests.support.tokens import mint, publish


class ManagementApi(LoopbackServer):
    """The management API of API Gateway as a real HTTP server: what connections were sent, and which were closed."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, Any]] = []
        self.closed: list[str] = []
        self.statuses: dict[str, int] = {}
        api = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                api.sent.append((self._connection_id, message))
                self._answer(200)

            def do_DELETE(self) -> None:
                api.closed.append(self._connection_id)
                self._answer(204)

            @property
            def _connection_id(self) -> str:
                return unquote(self.path.rpartition("/")[2])

            def _answer(self, status: int) -> None:
                self.send_response(api.statuses.get(self._connection_id, status))
                self.send_header("Content-Length", "0")
                self.end_headers()

        super().__init__(Handler)

    @property
    def url(self) -> str:
        """The address of the stage."""
        return f"{self.origin}/v1"

    def sent_to(self, connection_id: str) -> list[Any]:
        """Return the messages that a connection was sent, in order."""
        return [message for name, message in self.sent if name == connection_id]

    def event_ids(self, connection_id: str) -> list[str]:
        """Return the ids of the events that a connection was sent, in order."""
        return [message["id"] for message in self.sent_to(connection_id) if "specversion" in message]


@contextmanager
def management_api() -> Iterator[ManagementApi]:
    """Provide a management API to the functions of the system, and publish the keys of the issuer."""
    api = ManagementApi()
    publish()
    try:
        with mock.patch.dict("os.environ", {"SOCKET_ENDPOINT": api.url}):
            forget_cached()
            yield api
    finally:
        api.close()
        forget_cached()


def connect(system: System, connection_id: str, **claims: Any) -> int:
    """Connect with a token, and return the status of the handshake."""
    event = _event("connect", connection_id)
    event["queryStringParameters"] = {"access_token": mint(**claims)}
    return status_of(system, event)


def send(system: System, connection_id: str, message: Any) -> int:
    """Send a message of a client, as JSON unless it is a text."""
    event = _event("subscribe", connection_id)
    event["body"] = message if isinstance(message, str) else json.dumps(message)
    return status_of(system, event)


def disconnect(system: System, connection_id: str) -> int:
    """Close a connection from the side of the client."""
    return status_of(system, _event("disconnect", connection_id))


def status_of(system: System, event: Any) -> int:
    """Return the status with which the function answers an event of a connection."""
    return int(connection_function.handler(event, system.context)["statusCode"])


def open_connection(system: System, connection_id: str, subscription: Any = None, **claims: Any) -> None:
    """Connect and subscribe, by default to all that the caller may see."""
    assert connect(system, connection_id, **claims) == 200
    assert send(system, connection_id, {"action": "subscribe", **(subscription or {})}) == 200


def _event(name: str, connection_id: str) -> Any:
    event = payload(f"webhooks_on_connection/{name}.json")
    event["requestContext"]["connectionId"] = connection_id
    return event
