"""Events and webhooks for tests: events as the bus sends them, a receiver, and a queue with a clock that moves."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush
from http.server import BaseHTTPRequestHandler
from itertools import count
from typing import Any
from unittest import mock

import boto3
from standardwebhooks import Webhook as Signer

from functions.webhooks_api import handler as webhooks_function
from functions.webhooks_on_delivery_requested import handler as delivery_function
from tests.support.analytics import on_bus
from tests.support.faults import Crash
from tests.support.loopback import LoopbackServer
from tests.support.moto_state import take_messages
from tests.support.system import System, authorized, forget_cached, sqs_record
from trimtab.contracts.events import Event, cloud_event
from trimtab.kernel.clock import utc_now
from trimtab.kernel.ids import derive_id


def an_event(number: int, *, user_id: str = "1", type: str = "portfolio.updated", tenant_id: str = "demo") -> Any:
    """Return a CloudEvent about a portfolio of a user; equal numbers give equal ids."""
    data = {"portfolio_id": f"p{number}", "user_id": user_id, "name": "default"}
    return cloud_event(Event(type, data), id=derive_id("event", number), tenant_id=tenant_id, time=utc_now())


def send_events(system: System, *events: Any) -> None:
    """Put events on the queue as the rule of the bus does."""
    for event in events:
        boto3.client("sqs").send_message(QueueUrl=system.webhook_events_url, MessageBody=json.dumps(on_bus(event)))


def log_events(system: System, *events: Any) -> None:
    """Put events on the queue and log them."""
    send_events(system, *events)
    system.process_webhook_events()


def read_pages(system: System, after: str | None = None, tenant_id: str = "demo", **query: Any) -> Iterator[Any]:
    """Yield the pages of the list of events to its end."""
    for _ in range(1000):
        cursor = {} if after is None else {"after": after}
        answer = system.http(
            "GET",
            "/events",
            query={**{name: str(value) for name, value in query.items()}, **cursor},
            authorizer=authorized(tenant_id),
        )
        assert answer.status == 200, answer.text
        yield answer.json
        after = answer.json["after"]
        if not answer.json["has_more"]:
            return
    raise AssertionError("the list does not end")


def read_ids(system: System, after: str | None = None, **options: Any) -> list[str]:
    """Return the ids of all events after a cursor."""
    return [event["id"] for page in read_pages(system, after, **options) for event in page["items"]]


@dataclass
class Request:
    """A delivery that the receiver got: headers in lower case, and the body as sent."""

    path: str
    headers: dict[str, str]
    body: str

    @property
    def event_id(self) -> str:
        """The id of the event."""
        return self.headers["webhook-id"]

    def is_signed_with(self, secret: str) -> bool:
        """Return True if one of the signatures is that of the secret, at the time that the delivery names."""
        at = datetime.fromtimestamp(int(self.headers["webhook-timestamp"]), UTC)
        signature = Signer(secret).sign(self.event_id, at, self.body)
        return signature in self.headers["webhook-signature"].split(" ")


class Receiver(LoopbackServer):
    """A real HTTP server that receives deliveries; `answer` returns the status of a response, or hangs."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.answer: Callable[[Request], int] = lambda _: 204
        self.released = threading.Event()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                request = Request(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
                receiver.requests.append(request)
                status = receiver.answer(request)
                with suppress(OSError):  # the sender does not wait for ever
                    self.send_response(status)
                    self.send_header("Location", "/elsewhere")
                    self.send_header("Content-Length", "0")
                    self.end_headers()

        super().__init__(Handler)

    @property
    def url(self) -> str:
        """The URL of the receiver."""
        return f"{self.origin}/hooks?of=trimtab"

    @property
    def event_ids(self) -> list[str]:
        """The ids of the received events, in the order of arrival, repeats included."""
        return [request.event_id for request in self.requests]

    def hang(self, _: Request) -> int:
        """Answer only when the receiver is closed."""
        self.released.wait()
        return 204

    def close(self) -> None:
        """Stop the server, and let hanging answers end."""
        self.released.set()
        super().close()


@contextmanager
def receiving() -> Iterator[Receiver]:
    """Provide a receiver."""
    receiver = Receiver()
    try:
        yield receiver
    finally:
        receiver.close()


class DeliveryRun:
    """Drives the worker of deliveries as SQS does, with delays and redeliveries on a clock that moves at once."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.ahead = timedelta()
        self._number = count()
        self._waiting: list[tuple[datetime, int, str, int]] = []

    def now(self) -> datetime:
        """Return the time of the run."""
        return utc_now() + self.ahead

    def step(self, before: Callable[[], object] = lambda: None) -> bool:
        """Deliver the message that is due first; return False if there is none. `before` runs before the worker."""
        self._collect()
        if not self._waiting:
            return False
        due, _, body, receives = heappop(self._waiting)
        self.ahead += max(timedelta(), due - self.now())
        record = sqs_record(body, ApproximateReceiveCount=str(receives))
        before()
        try:
            failed = bool(self.system.invoke_worker(record, worker=delivery_function))
        except Crash:
            failed = True
        if failed:
            self._push(body, timedelta(seconds=180), receives + 1)
        return True

    def finish(self, until: Callable[[], bool] = lambda: False, steps: int = 2000) -> None:
        """Deliver messages until there is none, or until the condition holds."""
        for _ in range(steps):
            if until() or not self.step():
                return
        raise AssertionError("deliveries do not end")

    def _collect(self) -> None:
        for body, delay in take_messages(self.system.webhook_deliveries_url):
            self._push(body, timedelta(seconds=delay), 1)

    def _push(self, body: str, delay: timedelta, receives: int) -> None:
        heappush(self._waiting, (self.now() + delay, next(self._number), body, receives))


@contextmanager
def delivery_run(system: System) -> Iterator[DeliveryRun]:
    """Provide a run whose clock is that of the API and of the worker of deliveries."""
    run = DeliveryRun(system)
    with (
        mock.patch.object(delivery_function, "utc_now", run.now),
        mock.patch.object(webhooks_function, "utc_now", run.now),
    ):
        forget_cached()
        yield run
    forget_cached()


def create_webhook(system: System, url: str, *types: str, key: str | None = None) -> Any:
    """Create a webhook, for all events by default."""
    headers = {"Idempotency-Key": key} if key else {}
    answer = system.http("POST", "/webhooks", {"url": url, "types": list(types) or ["*"]}, headers=headers)
    assert answer.status == 201, answer.text
    return answer.json


def read_deliveries(system: System, webhook: Any) -> list[Any]:
    """Return the deliveries of a webhook, the newest event first."""
    items: list[Any] = system.http("GET", f"/webhooks/{webhook['webhook_id']}/deliveries").json["items"]
    return items
