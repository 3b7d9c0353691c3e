"""Steps of the end-to-end tests of rebalances: portfolios, quotes, and waiting for what follows."""

import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from infra.local.client import Client

PENDING = {"REQUESTED", "PLANNED", "EXECUTING", "COMPENSATING"}
PLATFORM = ["market:write", "market:read"]


def new_symbols(count: int) -> list[str]:
    """Return symbols that no other test uses."""
    return [f"E2E-{uuid.uuid4().hex[:8]}" for _ in range(count)]


def create_portfolio(client: Client, allocation: dict[str, int], currency: str = "USD", **policy: Any) -> str:
    """Create a portfolio and return the path."""
    ids = {"user_id": "1", "name": uuid.uuid4().hex, "currency": currency}
    body = {**ids, "allocation": allocation, "policy": policy}
    answer = client.post("/portfolio", body)
    assert answer.status == 201, answer.text
    return f"/portfolios/{answer.json['portfolio_id']}"


def send_quotes(platform: Client, prices: dict[str, str]) -> None:
    """Submit quotes of now, each of which the gate accepts."""
    quotes = [{"symbol": symbol, "price": price, "as_of": now()} for symbol, price in prices.items()]
    answer = platform.post("/quotes", {"quotes": quotes})
    assert (answer.status, answer.json["accepted"]) == (202, len(prices)), answer.text


def now() -> str:
    """Return the present time as RFC 3339 text."""
    return datetime.now(UTC).isoformat()


def last_reason(client: Client, path: str) -> str | None:
    """Return the reason code of the last check without trades, None before the first."""
    answer = client.get(f"{path}/checks/last")
    return str(answer.json["reason"]["code"]) if answer.status == 200 else None


def ended_rebalance(client: Client, path: str) -> Any:
    """Return the newest rebalance if it has ended."""
    items = client.get(f"{path}/rebalances").json["items"]
    return items[0] if items and items[0]["status"] not in PENDING else None


def wait_until(found: Callable[[], Any], what: str) -> Any:
    """Poll for about two minutes; return the first true value, or fail with the text."""
    for _ in range(300):
        if result := found():
            return result
        time.sleep(0.4)
    raise AssertionError(f"not within two minutes: {what}")


def hold_target(client: Client, platform: Client, allocation: dict[str, int], **policy: Any) -> str:
    """Create a portfolio of 10,000 at the target, each symbol bought at a price of 100; return the path."""
    # A check between two of the trades would start a rebalance, which refuses the next trade.
    path = create_portfolio(client, allocation, **policy, automation="manual")
    assert client.post(f"{path}/cash", {"ref_id": "in", "type": "deposit", "amount": "10000"}).status == 201
    send_quotes(platform, dict.fromkeys(allocation, "100"))
    wait_until(lambda: all(_is_quoted(platform, symbol) for symbol in allocation), "the quotes are stored")
    for symbol, weight in allocation.items():
        trade = {"ref_id": symbol, "side": "BUY", "security_type": "stock", "symbol": symbol, "quantity": weight}
        recorded = client.post(f"{path}/trades", {**trade, "price": 100})
        assert recorded.status == 201, recorded.text
    assert client.call("PATCH", path, {"automation": "auto"}).status == 200
    wait_until(lambda: last_reason(client, path) == "within_band", "the watches are written")
    return path


def _is_quoted(platform: Client, symbol: str) -> bool:
    return platform.get(f"/quotes/{symbol}").status == 200
