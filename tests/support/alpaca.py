"""A stand-in for Alpaca: a real HTTP server on a free port that follows the published contract of the trading API.

The server supports what the adapter uses: orders, positions, the account, refusals with Alpaca's codes, and faults that
a test sets beforehand.
"""

import json
import re
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol, TypeVar
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

OPEN = frozenset({"new", "accepted", "partially_filled"})
NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?")
Reply = tuple[int, Any]


@dataclass
class Fault:
    """A fault of the next `times` requests with this method.

    `kind` is a status (with `headers`), `silence` (no answer until the client gives up), `reset` (of the connection) or
    `rubbish` (an answer that is not JSON). With `after` the request takes effect first.
    """

    method: str
    kind: int | str
    after: bool = False
    times: int = 1
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class FakeAlpaca:
    """The state of the account; a test may set the members.

    An order is accepted and then filled at `prices`. It stays `new` if its symbol is in `slow` or its limit is not met.
    """

    url: str = ""
    keys: tuple[str, str] = ("key-1", "secret-1")
    cash: Decimal = Decimal(100_000)
    prices: dict[str, Decimal] = field(default_factory=dict)
    slow: set[str] = field(default_factory=set)
    positions: dict[str, Decimal] = field(default_factory=dict)
    orders: dict[str, dict[str, Any]] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    refusal_of_keys: Reply = (403, {"message": "forbidden."})
    requests: list[tuple[str, str, dict[str, str], Any]] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)
    closing: threading.Event = field(default_factory=threading.Event)

    def count(self, method: str) -> int:
        """Return the number of requests with this method."""
        return sum(each[0] == method for each in self.requests)

    def fault(self, method: str) -> Fault | None:
        """Return the fault of the next request with this method, None if there is none."""
        for each in self.faults:
            if each.method == method and each.times:
                each.times -= 1
                return each
        return None

    def reply(self, method: str, target: str, headers: dict[str, str], text: bytes) -> Reply:
        """Process a request and return its answer."""
        path, query = urlsplit(target).path, parse_qs(urlsplit(target).query)
        if (headers.get("apca-api-key-id"), headers.get("apca-api-secret-key")) != self.keys:
            return self.refusal_of_keys
        rows = [{"symbol": name, "qty": str(each), "side": "long"} for name, each in self.positions.items()]
        account = {"id": "a1", "cash": str(self.cash), "currency": "USD", "status": "ACTIVE"}
        routes: dict[tuple[str, str], Callable[[], Reply]] = {
            ("POST", "/v2/orders"): lambda: self.place(json.loads(text)),
            ("GET", "/v2/orders:by_client_order_id"): lambda: self.by_client_order_id(query["client_order_id"][0]),
            ("GET", "/v2/positions"): lambda: (200, rows),
            ("GET", "/v2/account"): lambda: (200, account),
            ("DELETE", path): lambda: self.cancel(path.removeprefix("/v2/orders/")),
        }
        return routes.get((method, path), lambda: (404, {"message": "endpoint not found."}))()

    def place(self, body: dict[str, Any]) -> Reply:
        """Process POST /v2/orders."""
        refusal = self.refusal(body)
        if refusal:
            return refusal
        order = {
            "id": str(uuid4()),
            "client_order_id": body["client_order_id"],
            "symbol": body["symbol"],
            "qty": body["qty"],
            "notional": None,
            "filled_qty": "0",
            "filled_avg_price": None,
            "side": body["side"],
            "type": body["type"],
            "time_in_force": body["time_in_force"],
            "limit_price": body.get("limit_price"),
            "status": "accepted",
        }
        self.orders[body["client_order_id"]] = order
        accepted = dict(order)
        self.execute(order)
        return 200, accepted

    def refusal(self, body: dict[str, Any]) -> Reply | None:
        """Return Alpaca's refusal of an order, None if the order is accepted."""
        if ("qty" in body) == ("notional" in body):
            return 422, {"code": 40010001, "message": "qty or notional is required, not both"}
        numbers = [body[name] for name in ("qty", "notional", "limit_price") if name in body]
        if not all(isinstance(number, str) and NUMBER.fullmatch(number) for number in numbers):
            return 422, {"code": 40010001, "message": "numbers must be plain strings"}
        qty = Decimal(body["qty"])
        if places(qty) > 9:
            return 422, {"code": 42210000, "message": "qty must be limited to 9 decimal places"}
        if places(qty) and body["time_in_force"] != "day":
            return 422, {"code": 42210000, "message": "fractional orders must be DAY orders"}
        priced = body["type"] == ("limit" if "limit_price" in body else "market")
        if not priced or body["side"] not in {"buy", "sell"} or len(body["client_order_id"]) > 128:
            return 422, {"code": 40010001, "message": "invalid type, side, limit_price or client_order_id"}
        return self.refusal_by_state(body, qty)

    def refusal_by_state(self, body: dict[str, Any], qty: Decimal) -> Reply | None:
        """Return the refusal that follows from the state of the account, None if the order is accepted."""
        symbol, limit = body["symbol"], Decimal(body.get("limit_price", "1.00"))
        if symbol not in self.prices:
            return 422, {"code": 42210000, "message": f'asset "{symbol}" not found'}
        if places(limit) > (2 if limit >= 1 else 4):
            text = f"invalid limit_price {limit}. sub-penny increment does not fulfill minimum pricing criteria"
            return 422, {"code": 42210000, "message": text}
        if body["side"] == "buy" and qty * self.prices[symbol] > self.cash:
            return 403, {"code": 40310000, "message": "insufficient buying power"}
        held = self.positions.get(symbol, Decimal(0))
        if body["side"] == "sell" and qty > held:
            text = f"insufficient qty available for order (requested: {qty}, available: {held})"
            return 403, {"code": 40310000, "message": text}
        if body["client_order_id"] in self.orders:
            return 422, {"code": 40010001, "message": "client_order_id must be unique"}
        return None

    def execute(self, order: dict[str, Any]) -> None:
        """Fill the order if its symbol has a price and its limit is met."""
        price, limit = self.prices[order["symbol"]], order["limit_price"]
        buys = order["side"] == "buy"
        met = limit is None or (price <= Decimal(limit) if buys else price >= Decimal(limit))
        if order["symbol"] in self.slow or not met:
            order["status"] = "new"
        else:
            self.fill(order["client_order_id"], order["qty"], str(price), "filled")

    def fill(self, client_order_id: str, qty: str, price: str, status: str) -> None:
        """Fill `qty` of an order at an average price and set its status."""
        order = self.orders[client_order_id]
        order |= {"filled_qty": qty, "filled_avg_price": price, "status": status}
        change = Decimal(qty) if order["side"] == "buy" else -Decimal(qty)
        held = self.positions.pop(order["symbol"], Decimal(0)) + change
        if held:
            self.positions[order["symbol"]] = held
        self.cash -= change * Decimal(price)

    def by_client_order_id(self, client_order_id: str) -> Reply:
        """Process GET /v2/orders:by_client_order_id."""
        order = self.orders.get(client_order_id)
        if order is None:
            return 404, {"code": 40410000, "message": f"order not found for {client_order_id}"}
        return 200, order

    def cancel(self, order_id: str) -> Reply:
        """Process DELETE /v2/orders/{order_id}."""
        order = next((order for order in self.orders.values() if order["id"] == order_id), None)
        if order is None:
            return 404, {"code": 40410000, "message": f"order not found for {order_id}"}
        if order["status"] not in OPEN:
            return 422, {"code": 42210000, "message": f'order is already in "{order["status"]}" state'}
        order["status"] = "canceled"
        return 204, None


def places(number: Decimal) -> int:
    """Return the number of decimal places of a number as written."""
    return max(0, -int(number.as_tuple().exponent))


class Fake(Protocol):
    """A stand-in that is served: its answers, its faults, and a record of its requests."""

    url: str
    requests: list[tuple[str, str, dict[str, str], Any]]
    lock: threading.RLock
    closing: threading.Event

    def fault(self, method: str) -> Fault | None:
        """Return the fault of the next request with this method, None if there is none."""

    def reply(self, method: str, target: str, headers: dict[str, str], text: bytes) -> Reply:
        """Process a request and return its answer."""


def handler_of(fake: Fake) -> type[BaseHTTPRequestHandler]:
    """Return the HTTP handler that serves a stand-in."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # else every answer waits for the client's delayed acknowledgement

        def serve(self) -> None:
            """Serve a request with any method."""
            text = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            with fake.lock:
                body = json.loads(text) if text else None
                fake.requests.append((self.command, self.path, headers, body))
                fault = fake.fault(self.command)
                if fault is None or fault.after:
                    status, answer = fake.reply(self.command, self.path, headers, text)
            if fault is None:
                self.answer(status, b"" if answer is None else json.dumps(answer).encode(), {})
            else:
                self.fail(fault)

        do_GET = do_POST = do_DELETE = serve  # noqa: N815 - the names that http.server calls

        def fail(self, fault: Fault) -> None:
            """Fail as the fault says."""
            match fault.kind:
                case "silence":
                    fake.closing.wait(2)
                    self.close_connection = True
                case "reset":
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    self.connection.close()
                    self.close_connection = True
                case "rubbish":
                    self.answer(200, b"<html>", {})
                case _:
                    self.answer(int(fault.kind), b'{"message": "no"}', fault.headers)

        def answer(self, status: int, data: bytes, headers: dict[str, str]) -> None:
            """Send an answer."""
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if status != 204:
                self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *arguments: Any) -> None:
            """Log nothing."""

    return Handler


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that the client, or a fault, has cut."""


@contextmanager
def fake_alpaca() -> Iterator[FakeAlpaca]:
    """Provide a served account; account and server end with the `with` block."""
    with serving(FakeAlpaca()) as fake:
        yield fake


F = TypeVar("F", bound=Fake)


@contextmanager
def serving(fake: F) -> Iterator[F]:
    """Serve a stand-in over HTTP at its `url`; the server ends with the `with` block."""
    server = _Server(("127.0.0.1", 0), handler_of(fake))
    fake.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield fake
    finally:
        fake.closing.set()
        server.shutdown()
        server.server_close()
        thread.join()
