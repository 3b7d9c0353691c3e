"""Requests to the receivers of webhooks: signed, bounded in time, and to public addresses only."""

import http.client
import json
import socket
import ssl
import threading
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct
from standardwebhooks import Webhook as Signer

from trimtab.contracts.traces import TRACEPARENT
from trimtab.runtime.tracing import next_traceparent
from trimtab.webhooks.domain.addresses import WebhookTarget, is_permitted, to_target
from trimtab.webhooks.domain.deliveries import Attempt

DELIVERY_SECONDS = 10
USER_AGENT = "Trimtab-Webhooks/1"


class RefusedAddress(Exception):
    """Raised where a host has an address that webhooks may not reach."""


class WebhookSender(Struct, frozen=True):
    """Sends events. A request ends after `seconds`; `allow_local` permits http and this computer, for local clouds."""

    allow_local: bool = False
    seconds: float = DELIVERY_SECONDS

    def send(self, url: str, secrets: Sequence[str], event: Mapping[str, Any], now: datetime) -> Attempt:
        """Post an event, signed with each secret, and return the outcome; no failure of the receiver raises."""
        body, started = json.dumps(event, separators=(",", ":")), time.monotonic()
        status = error = None
        try:
            status = self._post(to_target(url, allow_local=self.allow_local), body, sign(secrets, event, body, now))
        except RefusedAddress as refused:
            error = str(refused)
        except (OSError, http.client.HTTPException, ValueError) as failure:
            is_late = time.monotonic() - started >= self.seconds
            error = f"No response within {self.seconds} seconds." if is_late else f"No response: {_text(failure)}"
        return Attempt(now, round((time.monotonic() - started) * 1000), status, error)

    def _post(self, target: WebhookTarget, body: str, headers: Mapping[str, str]) -> int:
        """Return the status of the response; its body is not read, and no redirect is followed."""
        connection = socket.create_connection((self.resolve(target), target.port), timeout=self.seconds)
        watched = connection.dup()
        watch = threading.Timer(self.seconds, _shut, [watched])  # time-outs of sockets begin anew with each byte
        watch.daemon = True
        watch.start()
        try:
            if target.is_secure:
                connection = ssl.create_default_context().wrap_socket(connection, server_hostname=target.host)
            client = http.client.HTTPConnection(target.host, target.port, timeout=self.seconds)
            client.sock = connection
            client.request("POST", target.path, body.encode(), {"Host": target.authority, **headers})
            return client.getresponse().status
        finally:
            watch.cancel()
            connection.close()
            watched.close()

    def resolve(self, target: WebhookTarget) -> str:
        """Return the address of the host to connect to; raises `RefusedAddress` if any address is not permitted.

        The name is resolved once, and the connection goes to this very address: a second answer of the name server
        cannot lead to another one.
        """
        found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
        addresses = sorted({(family != socket.AF_INET, str(address[0])) for family, _, _, _, address in found})
        for _, address in addresses:
            if not is_permitted(address, allow_local=self.allow_local):
                raise RefusedAddress("The host has an address that is not public; nothing was sent.")
        return addresses[0][1]


def sign(secrets: Sequence[str], event: Mapping[str, Any], body: str, now: datetime) -> dict[str, str]:
    """Return the headers of a delivery: those of Standard Webhooks, a signature for each secret, and the trace."""
    event_id, traceparent = str(event["id"]), next_traceparent()
    return {
        "Content-Type": "application/json",
        "User-Agent": USER_AGENT,
        "webhook-id": event_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(Signer(secret).sign(event_id, now, body) for secret in secrets),
        **({TRACEPARENT: traceparent} if traceparent else {}),
    }


def _shut(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # closed in the meantime


def _text(failure: Exception) -> str:
    return f"{type(failure).__name__} {failure}".strip()[:200]
