"""A client of the routes for trades, cash and holdings of a portfolio."""

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
    """Return the time (RFC 3339) a number of days after the start of the tests' time."""
    return (START + timedelta(days=number)).isoformat().replace("+00:00", "Z")


@dataclass
class Account:
    """A portfolio and the requests a client sends about the portfolio."""

    system: System
    portfolio: Any

    @property
    def home(self) -> str:
        """Path of the portfolio."""
        return f"/portfolios/{self.portfolio['portfolio_id']}"

    def post_trade(self, body: dict[str, Any], **options: Any) -> Answer:
        """Send a trade with exactly the given body."""
        return self.system.http("POST", f"{self.home}/trades", body, **options)

    def record(
        self, ref_id: str, side: str, quantity: Any, amount: Any, at: float | None = None, **members: Any
    ) -> Answer:
        """Record a trade, of AAPL by default, executed on a day of the tests' time, by default now."""
        return self.post_trade(trade(ref_id, side, quantity, amount, at, **members))

    def correct(self, ref_id: str, **change: Any) -> Answer:
        """Correct a trade."""
        return self.system.http("PATCH", f"{self.home}/trades/{ref_id}", change)

    def trades(self, **query: str) -> Any:
        """Return a page of the trades."""
        answer = self.system.http("GET", f"{self.home}/trades", query=query or None)
        assert answer.status == 200, answer.text
        return answer.json

    def cash(self, ref_id: str, type: str, amount: Any, at: float | None = None) -> Answer:
        """Record a cash entry, executed on a day of the tests' time, by default now."""
        times = {} if at is None else {"executed_at": day(at)}
        body = {"ref_id": ref_id, "type": type, "amount": amount, **times}
        return self.system.http("POST", f"{self.home}/cash", body)

    def correct_cash(self, ref_id: str, **change: Any) -> Answer:
        """Correct a cash entry."""
        return self.system.http("PATCH", f"{self.home}/cash/{ref_id}", change)

    def holdings(self) -> Any:
        """Return the body of the holdings."""
        answer = self.system.http("GET", f"{self.home}/holdings")
        assert answer.status == 200, answer.text
        return answer.json

    def holding(self, symbol: str = "AAPL") -> Any:
        """Return the holding of a symbol, None where the symbol was never held."""
        return next((holding for holding in self.holdings()["items"] if holding["symbol"] == symbol), None)

    def sums(self, symbol: str = "AAPL") -> tuple[str, str, str] | None:
        """Return quantity, cost basis and realised profit of a holding."""
        holding = self.holding(symbol)
        return holding and (plain(holding["quantity"]), holding["cost_basis"], holding["realised_profit"])

    def upload(self, text: str, *, is_base64: bool = False, kind: str = "trades", **options: Any) -> Answer:
        """Import a file of trades, or of another kind of entries."""
        options.setdefault("authorizer", authorized())
        event = gateway_event(
            "POST", f"{self.home}/{kind}/import", text, headers={"Content-Type": "text/csv"}, **options
        )
        if is_base64:
            event |= {"body": base64.b64encode(text.encode()).decode(), "isBase64Encoded": True}
        return self.system.answer(event)

    def import_file(self, text: str, **options: Any) -> Any:
        """Import a file, with the work of the worker where the file is large; return the import."""
        answer = self.upload(text, **options)
        if answer.status == 202:
            assert self.system.process_recalculations() == 1
            return self.system.http("GET", answer.json["links"]["self"]).json
        assert answer.status == 200, answer.text
        return answer.json

    def undo(self, import_id: str) -> Answer:
        """Undo an import; a large one is then still to be deleted by the worker."""
        return self.system.http("DELETE", f"{self.home}/imports/{import_id}")


def counts(job: Any) -> tuple[int, int]:
    """Return the numbers of rows of an import that were recorded, by the import and before."""
    return job["recorded"], job["already_recorded"]


def plain(number: str) -> str:
    """Return a number without trailing zeros."""
    return number.rstrip("0").rstrip(".") if "." in number else number


def trade(ref_id: str, side: str, quantity: Any, amount: Any, at: float | None = None, **members: Any) -> Any:
    """Return the body of a request to record a trade."""
    body = {"ref_id": ref_id, "side": side, "security_type": "stock", "symbol": "AAPL", "quantity": quantity}
    times = {} if at is None else {"executed_at": day(at)}
    members = {**body, "amount": amount, **times, **members}
    return {name: value for name, value in members.items() if value is not None}


def csv_file(rows: Sequence[dict[str, Any]], end: str = "\n") -> str:
    """Return the CSV file of trades for an import."""
    names = HEADER.split(",")
    lines = [",".join(str(row.get(name, "")) for name in names) for row in rows]
    return end.join([HEADER, *lines, ""])


def account(system: System, user_id: str = "1", **members: Any) -> Account:
    """Create a portfolio of the user."""
    return Account(system, system.portfolio(user_id, **members))


def quote(system: System, price: Any, symbol: str = "AAPL", at: float = 300) -> Answer:
    """Send a quote as the price feed does, and process the message."""
    body = {"quotes": [{"symbol": symbol, "price": price, "as_of": day(at)}]}
    answer = system.http("POST", "/quotes", body, authorizer=FEED)
    system.process_quotes()
    return answer


def split(system: System, at: int, ratio: Any, per: Any = 1, symbol: str = "AAPL") -> Answer:
    """Enter a split, effective on a day of the tests' time."""
    path = f"/assets/{symbol}/splits/{day(at)[:10]}"
    return system.http("PUT", path, {"ratio": ratio, "per": per}, authorizer=FEED)


def refused(answer: Answer, status: int, type: str) -> Any:
    """Assert status and type of a refusal, and return the problem document."""
    assert (answer.status, answer.json["type"].rpartition(":")[2]) == (status, type), answer.text
    return answer.json


def ledger_items() -> list[Any]:
    """Return the stored trades and cash entries."""
    return [item for item in stored_items() if item["sk"]["S"].startswith(("TRADE#", "CASH#"))]
