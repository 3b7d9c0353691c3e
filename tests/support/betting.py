"""A user who places bets and the platform that settles them, as clients of the betting routes."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from unittest import mock

import boto3
from msgspec.structs import replace

from tests.support.moto_state import commits, stored_items
from tests.support.system import BETTING_TABLE, Answer, System
from trimtab.betting import wiring
from trimtab.betting.adapters.store import BettingStore
from trimtab.betting.service.rebuild import TotalsComparison, TotalsRebuild

MARKET = "match-7"
LIMIT = Decimal("100000.00")  # of the system's settings
NOW = datetime.now(UTC)


@dataclass
class Bettor:
    """A client for the orders of a user of the tenant `demo`: placing, reading, settling."""

    system: System
    user_id: str = "1"

    def place(
        self, side: str, stake: Any, odds: Any, selection_id: str = "home", key: str | None = None, **members: Any
    ) -> Answer:
        """Place an order, by default on the market of the tests."""
        options: dict[str, Any] = {"authorizer": members.pop("authorizer")} if "authorizer" in members else {}
        headers = {"Idempotency-Key": key} if key else {}
        return self.system.http(
            "POST", "/orders", self.order_body(side, stake, odds, selection_id, **members), headers=headers, **options
        )

    def order_body(
        self, side: str, stake: Any, odds: Any, selection_id: str = "home", **members: Any
    ) -> dict[str, Any]:
        """Return the body of an order."""
        body = {"user_id": self.user_id, "market_id": MARKET, "selection_id": selection_id}
        return {**body, "side": side, "stake": stake, "odds": odds, **members}

    def place_successfully(self, *arguments: Any, **members: Any) -> str:
        """Place an order and return its id; without a key each call places a new order."""
        members.setdefault("key", f"k{len(stored_orders())}")
        answer = self.place(*arguments, **members)
        assert answer.status == 201, answer.text
        return str(answer.json["order"]["id"])

    def settle(self, order_id: str, **body: Any) -> Answer:
        """Settle an order."""
        return self.system.http("POST", f"/orders/{order_id}/settle", body)

    def cancel(self, order_id: str) -> Answer:
        """Cancel an order."""
        return self.system.http("POST", f"/orders/{order_id}/cancel")

    def metrics(self, **query: str) -> Any:
        """Return the totals of the user."""
        return self.read(f"/metrics/{self.user_id}", **query)

    def position(self, market_id: str = MARKET, **query: str) -> Any:
        """Return the position of the user in a market, None without orders there."""
        items = self.read(f"/positions/{self.user_id}", **query)["items"]
        return next((position for position in items if position["market_id"] == market_id), None)

    def selection(self, selection_id: str, **query: str) -> Any:
        """Return the position on a selection of the market of the tests."""
        selections = self.position(**query)["selections"]
        return next(selection for selection in selections if selection["selection_id"] == selection_id)

    def read(self, path: str, **query: str) -> Any:
        """Return the successful answer of a GET route."""
        answer = self.system.http("GET", path, query=query or None)
        assert answer.status == 200, answer.text
        return answer.json

    def compare_totals(self, *, repair: bool = False) -> TotalsComparison:
        """Compare the stored totals and positions of the user with those recomputed from all orders."""
        return TotalsRebuild(betting_store()).run("demo", self.user_id, repair=repair)


@contextmanager
def settings(**changes: Any) -> Iterator[None]:
    """Let the betting functions have changed settings."""
    changed = wiring.settings().model_copy(update=changes)
    orders = replace(wiring.orders(), limits=changed.limits)
    with (
        mock.patch.object(wiring, "settings", return_value=changed),
        mock.patch.object(wiring, "orders", return_value=orders),
    ):
        yield


def betting_store() -> BettingStore:
    """Return the store of the system under test."""
    return BettingStore(boto3.client("dynamodb"), BETTING_TABLE)


def stored_orders() -> list[Any]:
    """Return the stored items of all orders."""
    return [item for item in stored_items(BETTING_TABLE) if item["sk"]["S"] == "ORDER"]


def count_statuses() -> dict[str, int]:
    """Return the number of orders by status."""
    counts: dict[str, int] = {}
    for item in stored_orders():
        counts[item["status"]["S"]] = counts.get(item["status"]["S"], 0) + 1
    return counts


def needs_settling(record: Any) -> bool:
    """Return whether a stream record passes the filter of the event source mapping."""
    image = record["dynamodb"]["NewImage"]
    return image["sk"]["S"] in {"ORDER", "MARKET"} and image.get("status", {}).get("S") in {"OPEN", "CLOSED"}


def settle_market(system: System, winners: list[str], market_id: str = MARKET, **members: Any) -> Answer:
    """Send the settlement of a market; neither the stream nor the queue is processed."""
    return system.http("POST", f"/markets/{market_id}/settle", {"winners": winners, **members})


def process_stream(system: System) -> None:
    """Pass all stream records so far to the function betting_on_commit."""
    system.pass_betting_stream([record for record in commits(BETTING_TABLE) if needs_settling(record)])


def process_stream_and_queue(system: System) -> None:
    """Process the stream, then the queue `settlements` until empty."""
    process_stream(system)
    system.process_settlements()


def insight_body(value: str = "0.05", minutes_ago: float = 10, selection_id: str = "home", **members: Any) -> str:
    """Return the body of a message with an insight."""
    body = {
        "schema_version": 1,
        "type": "insight.received",
        "tenant_id": "demo",
        "market_id": MARKET,
        "selection_id": selection_id,
        "implied_probability": "0.31",
        "expected_value": value,
        "momentum": "-0.2",
        "as_of": (NOW - timedelta(minutes=minutes_ago)).isoformat(),
    }
    return json.dumps({**body, **members})
