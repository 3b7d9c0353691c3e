"""A portfolio of the running system, read over HTTP: holdings, drift, rebalances and price checks."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from infra.local.client import Client
from infra.local.demo import expect

ZERO = Decimal(0)


@dataclass(frozen=True)
class HoldingsView:
    """The holdings of a portfolio at one moment: weights and target in percent, and prices, all by symbol."""

    weights: Mapping[str, Decimal]
    target: Mapping[str, Decimal]
    prices: Mapping[str, Decimal]
    unpriced: tuple[str, ...]

    @property
    def largest_drift(self) -> Decimal:
        """The largest distance between weight and target, in percentage points."""
        symbols = {*self.weights, *self.target}
        drifts = (abs(self.weights.get(symbol, ZERO) - self.target.get(symbol, ZERO)) for symbol in symbols)
        return max(drifts, default=ZERO)

    def at(self, prices: Mapping[str, Decimal]) -> "HoldingsView":
        """Return the same quantities and cash at other prices. A symbol without a new price keeps the old price."""
        after = {symbol: prices.get(symbol, price) for symbol, price in self.prices.items()}
        values = {symbol: weight * after[symbol] / self.prices[symbol] for symbol, weight in self.weights.items()}
        cash = 100 - sum(self.weights.values(), ZERO)
        total = sum(values.values(), cash)
        weights = {symbol: 100 * value / total for symbol, value in values.items()}
        return replace(self, weights=weights, prices=after)


@dataclass(frozen=True)
class PortfolioClient:
    """Calls the API for a portfolio."""

    client: Client
    portfolio_id: str
    allocation: Mapping[str, Decimal]

    @staticmethod
    def create(client: Client, body: Mapping[str, Any]) -> "PortfolioClient":
        """Create a portfolio with the request body."""
        created = expect(client.post("/portfolios", body), 201)
        target = {symbol: Decimal(weight) for symbol, weight in created["allocation"].items()}
        return PortfolioClient(client, created["portfolio_id"], target)

    @property
    def path(self) -> str:
        """The path of the portfolio."""
        return f"/portfolios/{self.portfolio_id}"

    def holdings(self) -> HoldingsView:
        """Return the current holdings."""
        response = expect(self.client.get(f"{self.path}/holdings"), 200)
        held = {holding["symbol"]: holding for holding in response["items"] if Decimal(holding["quantity"])}
        unpriced = tuple(symbol for symbol, holding in held.items() if holding["market_value"] is None)
        priced = {symbol: holding for symbol, holding in held.items() if symbol not in unpriced}
        values = {symbol: Decimal(holding["market_value"]) for symbol, holding in priced.items()}
        total = sum(values.values(), ZERO) + Decimal(response["cash"] or 0)
        return HoldingsView(
            weights={symbol: 100 * value / total for symbol, value in values.items()} if total else {},
            target=self.allocation,
            prices={symbol: Decimal(holding["price"]) for symbol, holding in priced.items()},
            unpriced=unpriced,
        )

    def is_locked(self) -> bool:
        """Return whether a rebalance or an import holds the portfolio's lock."""
        return bool(expect(self.client.get(self.path), 200)["locked_by"])

    def rebalances(self) -> list[dict[str, Any]]:
        """Return the newest hundred rebalances, newest first."""
        found: list[dict[str, Any]] = expect(self.client.get(f"{self.path}/rebalances?limit=100"), 200)["items"]
        return found

    def last_check(self) -> dict[str, Any] | None:
        """Return the newest price check without a decision to trade, or None."""
        response = self.client.get(f"{self.path}/checks/last")
        return None if response.status == 404 else expect(response, 200)
