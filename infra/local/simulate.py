"""`make simulate`: create portfolios over HTTP, move prices and follow the automatic rebalances."""

import random
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from typing import Any

from infra.local.client import Client
from infra.local.demo import PENDING, expect
from infra.local.environment import LocalError
from infra.local.portfolio_client import HoldingsView, PortfolioClient

SYMBOLS = 20
WAVE = 10
"""The number of prices that change at once."""
BANDS = (
    {"type": "absolute", "value": 2},
    {"type": "absolute", "value": 5},
    {"type": "relative", "value": 20},
    {"type": "hybrid", "value": 15, "points": 1},
)
MOVE = 0.08
"""The standard deviation of one price change, as a fraction of the price."""
INITIAL_VALUE = 100_000
TIMEOUT_SECONDS = 90.0
_PAUSE_SECONDS = 0.2
_GRACE_SECONDS = 3.0
_THREADS = 4


@dataclass(frozen=True)
class SimulatedPortfolio:
    """A portfolio of the simulation with its tolerance by symbol, in percentage points."""

    client: PortfolioClient
    tolerances: dict[str, Decimal]

    def is_within_band(self, view: HoldingsView) -> bool:
        """Return whether every weight is in band. 0.01 points are added because the API rounds values to cents."""
        return all(
            abs(view.weights.get(symbol, Decimal(0)) - target) <= self.tolerances[symbol] + Decimal("0.01")
            for symbol, target in self.client.allocation.items()
        )

    def leaves_band(self, view: HoldingsView, prices: Mapping[str, Decimal]) -> bool:
        """Return whether the portfolio is in band now and out of band at the given prices."""
        return self.is_within_band(view) and not self.is_within_band(view.at(prices))


@dataclass
class SimulationResult:
    """The totals of a simulation."""

    quotes: int = 0
    holders: int = 0
    """Holders of moved symbols, summed over the waves: the number of evaluations without price watches."""
    crossed: int = 0
    """Portfolios whose band the prices of a wave cross, summed over the waves and computed from the holdings."""
    evaluated: int = 0
    """Price checks that were observed. A check that a later check replaced between two reads is not counted."""
    statuses: Counter[str] = field(default_factory=Counter)
    """Rebalances by status."""
    orders: Counter[str] = field(default_factory=Counter)
    """Orders by status."""
    drifts: list[tuple[Decimal, Decimal]] = field(default_factory=list)
    """Drift before and after each completed rebalance, in percent of the portfolio."""
    out_of_band: dict[str, str] = field(default_factory=dict)
    """The reason for each portfolio out of its band at the end, by portfolio id; "" for an unexplained one."""


class Simulation:
    """A run with new symbols and users, independent of earlier runs.

    Equal seeds give equal portfolios and equal prices.
    """

    def __init__(self, client: Client, *, portfolios: int, seed: int) -> None:
        self._client = client
        self._random = random.Random(seed)  # noqa: S311 - the numbers must be repeatable
        self._run = uuid.uuid4().hex[:8]
        self._prices = {f"SIM-{self._run}-{number:02}": Decimal(100) for number in range(SYMBOLS)}
        self._pool = ThreadPoolExecutor(_THREADS)
        self._seen_checks: dict[str, str] = {}
        self._planned = [(number, *self._plan_portfolio()) for number in range(portfolios)]
        self._portfolios: list[SimulatedPortfolio] = []
        self.result = SimulationResult()

    def open(self) -> Iterator[int]:
        """Create the portfolios at their target and wait for their price watches. Yields 1 for each portfolio."""
        self._send_quotes(self._prices)
        for portfolio in self._pool.map(lambda plan: self._create(*plan), self._planned):
            self._portfolios.append(portfolio)
            yield 1
        self._wait_for(self._portfolios, self._is_watched, "the price watches were not written")
        self._count_checks(count=False)

    def move(self, changes: int) -> Iterator[int]:
        """Change prices in waves and wait for the effects of each wave. Yields the number of prices of each wave."""
        for start in range(0, changes, WAVE):
            size = min(WAVE, changes - start)
            moved = {symbol: self._next_price(symbol) for symbol in self._random.sample(sorted(self._prices), size)}
            holders = [holder for holder in self._portfolios if moved.keys() & holder.client.allocation.keys()]
            self.result.crossed += sum(holder.leaves_band(view, moved) for holder, view in self._read_holdings(holders))
            self._prices |= moved
            self._send_quotes(moved)
            self.result.quotes += size
            self.result.holders += len(holders)
            self._wait_for(holders, partial(self._is_settled, since=time.monotonic()), "the wave did not end")
            self._count_checks()
            yield size

    def finish(self) -> SimulationResult:
        """Read all rebalances and the final holdings, and return the totals."""
        for rebalances in self._pool.map(lambda portfolio: portfolio.client.rebalances(), self._portfolios):
            for rebalance in rebalances:
                self._count_rebalance(rebalance)
        self.result.evaluated += sum(self.result.statuses.values())
        for portfolio, view in self._read_holdings(self._portfolios):
            if not portfolio.is_within_band(view):
                check = portfolio.client.last_check()
                reason = (
                    f"{check['reason']['code']}: {check['reason']['message']}"
                    if check and check["reason"]["code"] != "within_band"
                    else ""
                )
                self.result.out_of_band[portfolio.client.portfolio_id] = reason
        self._pool.shutdown()
        return self.result

    # Portfolios and prices -------------------------------------------------------------------------------------------

    def _plan_portfolio(self) -> tuple[dict[str, Decimal], dict[str, Any]]:
        """Return a target of four to eight symbols in whole percents, and a band."""
        symbols = self._random.sample(sorted(self._prices), self._random.randint(4, 8))
        parts = [self._random.randint(5, 20) for _ in symbols]
        weights = [100 * part // sum(parts) for part in parts]
        weights[0] += 100 - sum(weights)
        return dict(zip(symbols, map(Decimal, weights), strict=True)), self._random.choice(BANDS)

    def _create(self, number: int, target: dict[str, Decimal], band: dict[str, Any]) -> SimulatedPortfolio:
        body = {
            "user_id": f"sim-{self._run}-{number:03}",
            "allocation": {symbol: str(weight) for symbol, weight in target.items()},
            "policy": {"band": band},
            "cash": str(INITIAL_VALUE),
        }
        portfolio = PortfolioClient.create(self._client, body)
        rows = [
            f"{symbol},BUY,stock,{symbol},{weight * INITIAL_VALUE / 10_000},100" for symbol, weight in target.items()
        ]
        text = "\n".join(["ref_id,side,security_type,symbol,quantity,price", *rows, ""])
        headers = {"Content-Type": "text/csv"}
        response = self._client.call("POST", f"{portfolio.path}/trades/import", raw=text.encode(), headers=headers)
        expect(response, 200, 201)
        return SimulatedPortfolio(portfolio, {symbol: _tolerance(band, weight) for symbol, weight in target.items()})

    def _next_price(self, symbol: str) -> Decimal:
        factor = Decimal(str(round(max(0.5, self._random.gauss(1, MOVE)), 4)))
        return (self._prices[symbol] * factor).quantize(Decimal("0.0001"))

    def _send_quotes(self, prices: dict[str, Decimal]) -> None:
        now = datetime.now(UTC).isoformat()
        quotes = [{"symbol": symbol, "price": str(price), "as_of": now} for symbol, price in prices.items()]
        expect(self._client.post("/quotes", {"quotes": quotes}), 202)

    # Waiting ---------------------------------------------------------------------------------------------------------

    def _is_watched(self, portfolio: SimulatedPortfolio) -> bool:
        check = portfolio.client.last_check()
        return check is not None and check["reason"]["code"] == "within_band"

    def _is_settled(self, portfolio: SimulatedPortfolio, since: float) -> bool:
        """Return whether the new prices are stored, no rebalance is running and the portfolio is in its band.

        A portfolio out of its band is settled if a check gives a reason after a grace period. The check may be older
        than the prices if their move was too small for a new check.
        """
        view = portfolio.client.holdings()
        if any(price != self._prices[symbol] for symbol, price in view.prices.items()) or portfolio.client.is_locked():
            return False
        if portfolio.is_within_band(view):
            return True
        check = portfolio.client.last_check()
        return (
            check is not None and check["reason"]["code"] != "within_band" and time.monotonic() > since + _GRACE_SECONDS
        )

    def _wait_for(
        self, portfolios: Iterable[SimulatedPortfolio], is_done: Callable[[SimulatedPortfolio], bool], complaint: str
    ) -> None:
        left, deadline = list(portfolios), time.monotonic() + TIMEOUT_SECONDS
        while left:
            done = self._pool.map(is_done, left)
            left = [portfolio for portfolio, is_ready in zip(left, done, strict=True) if not is_ready]
            if left and time.monotonic() > deadline:
                raise LocalError(f"{complaint} for {left[0].client.path}: see `make logs`")
            time.sleep(_PAUSE_SECONDS if left else 0)

    def _read_holdings(self, portfolios: list[SimulatedPortfolio]) -> Iterator[tuple[SimulatedPortfolio, HoldingsView]]:
        views = self._pool.map(lambda portfolio: portfolio.client.holdings(), portfolios)
        return zip(portfolios, views, strict=True)

    # Counting --------------------------------------------------------------------------------------------------------

    def _count_checks(self, *, count: bool = True) -> None:
        """Count the portfolios with a new price check. Only the newest check without a decision is stored."""
        checks = self._pool.map(lambda portfolio: portfolio.client.last_check(), self._portfolios)
        for portfolio, check in zip(self._portfolios, checks, strict=True):
            at = check["at"] if check else ""
            crossed = check is not None and check["trigger"] == "price"
            if count and crossed and self._seen_checks.get(portfolio.client.portfolio_id) != at:
                self.result.evaluated += 1
            self._seen_checks[portfolio.client.portfolio_id] = at

    def _count_rebalance(self, rebalance: dict[str, Any]) -> None:
        self.result.statuses[rebalance["status"]] += 1
        if rebalance["status"] in PENDING:
            return
        orders = (rebalance["execution"] or {"orders": []})["orders"]
        self.result.orders.update(order["status"] for order in orders)
        facts = rebalance["reason"]["details"] if rebalance["reason"] else {}
        if "drift_after" in facts:
            self.result.drifts.append((Decimal(facts["drift"]), Decimal(facts["drift_after"])))


def _tolerance(band: dict[str, Any], weight: Decimal) -> Decimal:
    value, points = Decimal(band["value"]), Decimal(band.get("points", 0))
    return value if band["type"] == "absolute" else max(weight * value / 100, points)
