"""A self-balancing portfolio, driven through the real functions like AWS does."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from tests.support.assets import accept_every_price
from tests.support.moto_state import commits
from tests.support.system import System, authorized
from tests.support.trading import FEED, Account

OPERATOR = authorized(scope="operator portfolios:read portfolios:write trades:read trades:write")


@dataclass
class Balancing:
    """An account and a price feed; actions run the whole system until nothing is left to do."""

    system: System
    account: Account
    at: datetime = field(default_factory=lambda: datetime.now(UTC) - timedelta(minutes=30))
    _streamed: int = 0
    _quoted: set[str] = field(default_factory=set)

    def quote(self, **prices: Any) -> None:
        """Feed a quote of each symbol, newer than all before; every price is plausible."""
        accept_every_price(*(prices.keys() - self._quoted))
        self._quoted |= prices.keys()
        self.at += timedelta(milliseconds=500)
        rows = [{"symbol": name, "price": str(price), "as_of": self.at.isoformat()} for name, price in prices.items()]
        answer = self.system.http("POST", "/quotes", {"quotes": rows}, authorizer=FEED)
        assert answer.status == 202, answer.text
        self.system.process_quotes()

    def move(self, **prices: Any) -> None:
        """Feed a quote of each symbol and settle."""
        self.quote(**prices)
        self.settle()

    def stream(self) -> None:
        """Hand new stream records that pass the event filter to the function that requests checks."""
        new = commits()[self._streamed :]
        self._streamed += len(new)
        marked = [record for record in new if "evaluation_due" in record["dynamodb"].get("NewImage", {})]
        if marked:
            self.system.pass_stream(marked)

    def settle(self) -> None:
        """Run stream, checks and executions until nothing is left to do."""
        for _ in range(20):
            self.stream()
            taken = self.system.process_checks() + self.system.process_executions()
            if not taken and self._streamed == len(commits()):
                return
        raise AssertionError("does not settle")

    def deposit(self, amount: Any, ref_id: str = "deposit") -> None:
        """Record a deposit."""
        answer = self.account.cash(ref_id, "deposit", amount)
        assert answer.status == 201, answer.text

    def buy(self, symbol: str, quantity: Any, price: Any) -> None:
        """Record a purchase."""
        trade = {"ref_id": f"buy-{symbol}", "side": "BUY", "security_type": "stock", "symbol": symbol}
        answer = self.account.post_trade({**trade, "quantity": quantity, "price": price})
        assert answer.status == 201, answer.text

    def run(self, request_id: str, **body: Any) -> Any:
        """Request a rebalance, settle, and return its view."""
        headers = {"Idempotency-Key": request_id}
        answer = self.system.http("POST", f"{self.account.home}/rebalances", body, headers=headers)
        assert answer.status == 202, answer.text
        self.settle()
        return self.rebalance(answer.json["rebalance_id"])

    def rebalance(self, rebalance_id: str) -> Any:
        """Return the view of a rebalance."""
        return self.system.http("GET", f"{self.account.home}/rebalances/{rebalance_id}").json

    def rebalances(self) -> list[Any]:
        """Return all rebalances, newest first."""
        items: list[Any] = self.system.http("GET", f"{self.account.home}/rebalances").json["items"]
        return items

    def last_check(self) -> Any:
        """Return the view of the last check that traded nothing."""
        return self.system.http("GET", f"{self.account.home}/checks/last").json

    def quantities(self) -> dict[str, Decimal]:
        """Return the held quantities by symbol."""
        return {item["symbol"]: Decimal(item["quantity"]) for item in self.account.holdings()["items"]}

    def cash(self) -> Decimal:
        """Return the cash."""
        return Decimal(self.account.holdings()["cash"])

    def now(self) -> Any:
        """Return the view of the portfolio."""
        return self.system.http("GET", self.account.home).json


def balanced(system: System, **members: Any) -> Balancing:
    """Return a portfolio of 50 AAPL and 50 MSFT at 100 each, at its target and watched."""
    market = Balancing(system, Account(system, system.portfolio("1", {"AAPL": 50, "MSFT": 50}, **members)))
    market.deposit(10_000)
    market.quote(AAPL=100, MSFT=100)
    market.buy("AAPL", 50, 100)
    market.buy("MSFT", 50, 100)
    market.settle()
    return market
