"""A portfolio that balances itself, driven through the real functions as AWS drives them."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from tests.support.moto_state import commits
from tests.support.system import System, authorized
from tests.support.trading import FEED, Account

OPERATOR = authorized(scope="operator portfolios:read portfolios:write trades:read trades:write")


@dataclass
class Balancing:
    """An account with a market beside it: quotes move, and everything that follows from them is let run."""

    system: System
    account: Account
    at: datetime = field(default_factory=lambda: datetime.now(UTC) - timedelta(minutes=30))
    _streamed: int = 0

    def quote(self, **prices: Any) -> None:
        """A quote of each symbol, newer than all before."""
        self.at += timedelta(milliseconds=500)
        rows = [{"symbol": name, "price": str(price), "as_of": self.at.isoformat()} for name, price in prices.items()]
        answer = self.system.http("POST", "/quotes", {"quotes": rows}, authorizer=FEED)
        assert answer.status == 202, answer.text
        self.system.take_quotes()

    def move(self, **prices: Any) -> None:
        """A quote of each symbol, and everything that follows from it."""
        self.quote(**prices)
        self.settle()

    def stream(self) -> None:
        """Hands what is new in the stream to the function that asks for checks, past its filter."""
        new = commits()[self._streamed :]
        self._streamed += len(new)
        marked = [record for record in new if "watch_due" in record["dynamodb"].get("NewImage", {})]
        if marked:
            self.system.stream(marked)

    def settle(self) -> None:
        """Lets stream, checks and executions run until nothing is left."""
        for _ in range(20):
            self.stream()
            taken = self.system.check() + self.system.execute()
            if not taken and self._streamed == len(commits()):
                return
        raise AssertionError("does not come to rest")

    def deposit(self, amount: Any, ref_id: str = "deposit") -> None:
        """Cash comes in."""
        answer = self.account.cash(ref_id, "deposit", amount)
        assert answer.status == 201, answer.text

    def buy(self, symbol: str, quantity: Any, price: Any) -> None:
        """Records that so much was bought."""
        trade = {"ref_id": f"buy-{symbol}", "side": "BUY", "security_type": "stock", "symbol": symbol}
        answer = self.account.post_trade({**trade, "quantity": quantity, "price": price})
        assert answer.status == 201, answer.text

    def run(self, request_id: str, **body: Any) -> Any:
        """The rebalance that a person asked for, once everything has run."""
        headers = {"Idempotency-Key": request_id}
        answer = self.system.http("POST", f"{self.account.home}/rebalances", body, headers=headers)
        assert answer.status == 202, answer.text
        self.settle()
        return self.rebalance(answer.json["rebalance_id"])

    def rebalance(self, rebalance_id: str) -> Any:
        """A rebalance."""
        return self.system.http("GET", f"{self.account.home}/rebalances/{rebalance_id}").json

    def rebalances(self) -> list[Any]:
        """All rebalances, newest first."""
        items: list[Any] = self.system.http("GET", f"{self.account.home}/rebalances").json["items"]
        return items

    def last_check(self) -> Any:
        """What the newest check found that decided nothing."""
        return self.system.http("GET", f"{self.account.home}/checks/last").json

    def quantities(self) -> dict[str, Decimal]:
        """What is held."""
        return {it["symbol"]: Decimal(it["quantity"]) for it in self.account.holdings()["items"]}

    def cash(self) -> Decimal:
        """The cash."""
        return Decimal(self.account.holdings()["cash"])

    def now(self) -> Any:
        """The portfolio."""
        return self.system.http("GET", self.account.home).json


def balanced(system: System, **members: Any) -> Balancing:
    """50 AAPL and 50 MSFT at 100, half and half, with their watches in place."""
    it = Balancing(system, Account(system, system.portfolio("1", {"AAPL": 50, "MSFT": 50}, **members)))
    it.deposit(10_000)
    it.quote(AAPL=100, MSFT=100)
    it.buy("AAPL", 50, 100)
    it.buy("MSFT", 50, 100)
    it.settle()
    return it
