"""A bettor and the platform behind it, as clients of the betting routes see them."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import boto3

from tests.support.moto_state import commits, stored_items
from tests.support.system import BETTING_TABLE, Answer, System
from trimtab.betting.adapters.book import DynamoBook
from trimtab.betting.service.accounts import Accounts, Rebuilt

MARKET = "match-7"
LIMIT = Decimal("100000.00")  # of the system's settings
NOW = datetime.now(UTC)


@dataclass
class Bettor:
    """A user of the tenant `demo`, and what the platform does with its orders."""

    system: System
    user_id: str = "1"

    def place(
        self, side: str, stake: Any, odds: Any, selection_id: str = "home", key: str | None = None, **members: Any
    ) -> Answer:
        """Places an order on the market of the tests, unless told otherwise."""
        options: dict[str, Any] = {"authorizer": members.pop("authorizer")} if "authorizer" in members else {}
        headers = {"Idempotency-Key": key} if key else {}
        return self.system.http(
            "POST", "/orders", self.order(side, stake, odds, selection_id, **members), headers=headers, **options
        )

    def order(self, side: str, stake: Any, odds: Any, selection_id: str = "home", **members: Any) -> dict[str, Any]:
        """The body of an order."""
        body = {"user_id": self.user_id, "market_id": MARKET, "selection_id": selection_id}
        return {**body, "side": side, "stake": stake, "odds": odds, **members}

    def placed(self, *arguments: Any, **members: Any) -> str:
        """The id of an order that is placed now. Without a key each is another order."""
        members.setdefault("key", f"k{len(orders())}")
        answer = self.place(*arguments, **members)
        assert answer.status == 201, answer.text
        return str(answer.json["order"]["id"])

    def settle(self, order_id: str, **body: Any) -> Answer:
        """Settles an order."""
        return self.system.http("POST", f"/orders/{order_id}/settle", body)

    def metrics(self, **query: str) -> Any:
        """The sums."""
        return self.read(f"/metrics/{self.user_id}", **query)

    def position(self, market_id: str = MARKET, **query: str) -> Any:
        """The position in a market, None where there is none."""
        items = self.read(f"/positions/{self.user_id}", **query)["items"]
        return next((it for it in items if it["market_id"] == market_id), None)

    def on(self, selection_id: str, **query: str) -> Any:
        """The position on a selection of the market of the tests."""
        return next(it for it in self.position(**query)["selections"] if it["selection_id"] == selection_id)

    def read(self, path: str, **query: str) -> Any:
        """The answer of a route that reads."""
        answer = self.system.http("GET", path, query=query or None)
        assert answer.status == 200, answer.text
        return answer.json

    def rebuilt(self, *, repair: bool = False) -> Rebuilt:
        """What is kept of the user, and what the fold of all orders makes of it."""
        return Accounts(book()).rebuild("demo", self.user_id, repair=repair)


def book() -> DynamoBook:
    """The store."""
    return DynamoBook(boto3.client("dynamodb"), BETTING_TABLE)


def orders() -> list[Any]:
    """The items of orders."""
    return [item for item in stored_items(BETTING_TABLE) if item["sk"]["S"] == "ORDER"]


def statuses() -> dict[str, int]:
    """How many orders have each status."""
    found: dict[str, int] = {}
    for item in orders():
        found[item["status"]["S"]] = found.get(item["status"]["S"], 0) + 1
    return found


def needs_settling(record: Any) -> bool:
    """The filter of the event source mapping."""
    image = record["dynamodb"]["NewImage"]
    return image["sk"]["S"] in {"ORDER", "MARKET"} and image.get("status", {}).get("S") in {"OPEN", "CLOSED"}


def close(system: System, winners: list[str], market_id: str = MARKET, **members: Any) -> Answer:
    """Settles a market; the stream and the workers have not run yet."""
    return system.http("POST", f"/markets/{market_id}/settle", {"winners": winners, **members})


def run_stream(system: System) -> None:
    """Hands all of the stream so far to the function that looks after closings."""
    system.stream_betting([record for record in commits(BETTING_TABLE) if needs_settling(record)])


def work(system: System) -> None:
    """Lets stream and workers do what there is to do."""
    run_stream(system)
    system.settle()


def insight(value: str = "0.05", minutes_ago: float = 10, selection_id: str = "home", **members: Any) -> str:
    """The body of a message with an insight."""
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
