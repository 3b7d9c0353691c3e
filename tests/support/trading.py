"""A portfolio as a client of the trade routes sees it."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.support.moto_state import stored_items
from tests.support.system import Answer, System, authorized, gateway_event

START = datetime(2024, 1, 1, tzinfo=UTC)
HEADER = "ref_id,side,security_type,symbol,quantity,amount,price,fees,status,executed_at"
FEED = authorized(tenant_id="platform", scope="market:read market:write")


def day(number: float) -> str:
    """The instant that many days after the start of the tests' time."""
    return (START + timedelta(days=number)).isoformat().replace("+00:00", "Z")


@dataclass
class Account:
    """A portfolio and its client."""

    system: System
    portfolio: Any

    @property
    def home(self) -> str:
        """Where the portfolio is."""
        return f"/portfolios/{self.portfolio['portfolio_id']}"

    def post_trade(self, body: dict[str, Any], **options: Any) -> Answer:
        """Sends a trade as it stands."""
        return self.system.http("POST", f"{self.home}/trades", body, **options)

    def record(
        self, ref_id: str, side: str, quantity: Any, amount: Any, at: float | None = None, **members: Any
    ) -> Answer:
        """Records a trade of AAPL, unless told otherwise, executed on that day, or now."""
        return self.post_trade(trade(ref_id, side, quantity, amount, at, **members))

    def correct(self, ref_id: str, **change: Any) -> Answer:
        """Corrects a trade."""
        return self.system.http("PATCH", f"{self.home}/trades/{ref_id}", change)

    def trades(self, **query: str) -> Any:
        """A page of the trades."""
        answer = self.system.http("GET", f"{self.home}/trades", query=query or None)
        assert answer.status == 200, answer.text
        return answer.json

    def cash(self, ref_id: str, type: str, amount: Any) -> Answer:
        """Moves cash."""
        return self.system.http("POST", f"{self.home}/cash", {"ref_id": ref_id, "type": type, "amount": amount})

    def holdings(self) -> Any:
        """The answer of the holdings."""
        answer = self.system.http("GET", f"{self.home}/holdings")
        assert answer.status == 200, answer.text
        return answer.json

    def holding(self, symbol: str = "AAPL") -> Any:
        """The symbol's holding, None where there is none."""
        return next((it for it in self.holdings()["items"] if it["symbol"] == symbol), None)

    def sums(self, symbol: str = "AAPL") -> tuple[str, str, str] | None:
        """The holding's quantity, cost and realised profit."""
        it = self.holding(symbol)
        return it and (plain(it["quantity"]), it["cost_basis"], it["realised_profit"])

    def upload(self, text: str, *, is_base64: bool = False, **options: Any) -> Answer:
        """Imports a file."""
        options.setdefault("authorizer", authorized())
        event = gateway_event(
            "POST", f"{self.home}/trades/import", text, headers={"Content-Type": "text/csv"}, **options
        )
        if is_base64:
            event |= {"body": base64.b64encode(text.encode()).decode(), "isBase64Encoded": True}
        return self.system.answer(event)


def plain(number: str) -> str:
    """The shortest text of a number."""
    return number.rstrip("0").rstrip(".") if "." in number else number


def trade(ref_id: str, side: str, quantity: Any, amount: Any, at: float | None = None, **members: Any) -> Any:
    """The body that records a trade."""
    body = {"ref_id": ref_id, "side": side, "security_type": "stock", "symbol": "AAPL", "quantity": quantity}
    times = {} if at is None else {"executed_at": day(at)}
    return {name: it for name, it in {**body, "amount": amount, **times, **members}.items() if it is not None}


def csv_file(rows: Sequence[dict[str, Any]], end: str = "\n") -> str:
    """The trades as a file for the import."""
    names = HEADER.split(",")
    lines = [",".join(str(row.get(name, "")) for name in names) for row in rows]
    return end.join([HEADER, *lines, ""])


def account(system: System, user_id: str = "1", **members: Any) -> Account:
    """A fresh portfolio of the user."""
    return Account(system, system.portfolio(user_id, **members))


def quote(system: System, price: Any, symbol: str = "AAPL", at: float = 300) -> Answer:
    """A quote of the symbol from the feed."""
    body = {"quotes": [{"symbol": symbol, "price": price, "as_of": day(at)}]}
    answer = system.http("POST", "/quotes", body, authorizer=FEED)
    system.take_quotes()
    return answer


def split(system: System, at: int, ratio: Any, per: Any = 1, symbol: str = "AAPL") -> Answer:
    """A split of the symbol on that day."""
    path = f"/assets/{symbol}/splits/{day(at)[:10]}"
    return system.http("PUT", path, {"ratio": ratio, "per": per}, authorizer=FEED)


def refused(answer: Answer, status: int, type: str) -> Any:
    """The problem document, once it is the one that is wanted."""
    assert (answer.status, answer.json["type"].rpartition(":")[2]) == (status, type), answer.text
    return answer.json


def ledger_items() -> list[Any]:
    """The trades and cash entries that are stored."""
    return [it for it in stored_items() if it["sk"]["S"].startswith(("TRADE#", "CASH#"))]
