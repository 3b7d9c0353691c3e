"""A portfolio as its owner sees it over HTTP: what it holds, how far it has drifted, and what was done about it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from infra.local.client import Client
from infra.local.demo import expect

ZERO = Decimal(0)


@dataclass(frozen=True)
class View:
    """One look at a portfolio: the weights in percent by symbol, what has no price, and the drift from the target."""

    weights: Mapping[str, Decimal]
    target: Mapping[str, Decimal]
    prices: Mapping[str, Decimal]
    unpriced: tuple[str, ...]

    @property
    def widest(self) -> Decimal:
        """The largest distance of a weight from its target, in percentage points."""
        away = (abs(self.weights.get(symbol, ZERO) - self.target.get(symbol, ZERO)) for symbol in self._symbols)
        return max(away, default=ZERO)

    def at(self, prices: Mapping[str, Decimal]) -> "View":
        """The same holdings and cash at other prices; of what is not among them, the price stays."""
        after = {symbol: prices.get(symbol, price) for symbol, price in self.prices.items()}
        worth = {symbol: weight * after[symbol] / self.prices[symbol] for symbol, weight in self.weights.items()}
        cash = 100 - sum(self.weights.values(), ZERO)
        total = sum(worth.values(), cash)
        weights = {symbol: 100 * each / total for symbol, each in worth.items()}
        return replace(self, weights=weights, prices=after)

    @property
    def _symbols(self) -> set[str]:
        return {*self.weights, *self.target}


@dataclass(frozen=True)
class Account:
    """A portfolio at the running system."""

    client: Client
    portfolio_id: str
    allocation: Mapping[str, Decimal]

    @staticmethod
    def opened(client: Client, body: Mapping[str, Any]) -> "Account":
        """The portfolio that this body creates."""
        created = expect(client.post("/portfolios", body), 201)
        target = {symbol: Decimal(weight) for symbol, weight in created["allocation"].items()}
        return Account(client, created["portfolio_id"], target)

    @property
    def path(self) -> str:
        """Where it is read."""
        return f"/portfolios/{self.portfolio_id}"

    @property
    def target(self) -> list[str]:
        """The symbols that it aims at."""
        return list(self.allocation)

    def look(self) -> View:
        """What it holds now."""
        found = expect(self.client.get(f"{self.path}/holdings"), 200)
        held = {each["symbol"]: each for each in found["items"] if Decimal(each["quantity"])}
        unpriced = tuple(symbol for symbol, each in held.items() if each["market_value"] is None)
        values = {symbol: Decimal(each["market_value"]) for symbol, each in held.items() if symbol not in unpriced}
        total = sum(values.values(), ZERO) + Decimal(found["cash"] or 0)
        return View(
            weights={symbol: 100 * value / total for symbol, value in values.items()} if total else {},
            target=self.allocation,
            prices={symbol: Decimal(each["quote"]) for symbol, each in held.items() if symbol not in unpriced},
            unpriced=unpriced,
        )

    def is_locked(self) -> bool:
        """Whether something is changing it just now."""
        return bool(expect(self.client.get(self.path), 200)["locked_by"])

    def rebalances(self) -> list[dict[str, Any]]:
        """The newest hundred of its rebalances, newest first."""
        found: list[dict[str, Any]] = expect(self.client.get(f"{self.path}/rebalances?limit=100"), 200)["items"]
        return found

    def last_check(self) -> dict[str, Any] | None:
        """The newest check that decided nothing, None before the first."""
        answer = self.client.get(f"{self.path}/checks/last")
        return None if answer.status == 404 else expect(answer, 200)
