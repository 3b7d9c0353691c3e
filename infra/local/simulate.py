"""`make simulate`: portfolios on the running system, prices that move, and what the balancer made of it; over HTTP."""

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

from infra.local.account import Account, View
from infra.local.client import Client
from infra.local.demo import PENDING, expect
from infra.local.environment import LocalError

SYMBOLS = 20
WAVE = 10
"""Prices that change at once."""
BANDS = (
    {"type": "absolute", "value": 2},
    {"type": "absolute", "value": 5},
    {"type": "relative", "value": 20},
    {"type": "hybrid", "value": 15, "points": 1},
)
MOVE = 0.08
"""Standard deviation of one change of a price, as a share of it."""
WORTH = 100_000
PATIENCE_SECONDS = 90.0
_PAUSE_SECONDS = 0.2
_GRACE_SECONDS = 3.0
_AT_ONCE = 4


@dataclass(frozen=True)
class Simulated:
    """A portfolio of the simulation, and how far each weight may be from its target, in percentage points."""

    account: Account
    tolerances: dict[str, Decimal]

    def is_within(self, view: View) -> bool:
        """Whether it is inside its band; the API rounds values to cents, so a hundredth of a point does not count."""
        return all(
            abs(view.weights.get(symbol, Decimal(0)) - target) <= self.tolerances[symbol] + Decimal("0.01")
            for symbol, target in self.account.allocation.items()
        )

    def leaves_band(self, view: View, prices: Mapping[str, Decimal]) -> bool:
        """Whether these prices lead it out of the band that it is in."""
        return self.is_within(view) and not self.is_within(view.at(prices))


@dataclass
class Story:
    """What happened."""

    quotes: int = 0
    holders: int = 0
    """Portfolios that held what moved, summed over the waves: so many would be evaluated without watches."""
    crossed: int = 0
    """Portfolios whose band the prices of a wave leave, summed over the waves; worked out here, from their holdings."""
    evaluated: int = 0
    """Checks that left a trace: of several between two looks, only the last one that decided nothing does."""
    outcomes: Counter[str] = field(default_factory=Counter)
    orders: Counter[str] = field(default_factory=Counter)
    drifts: list[tuple[Decimal, Decimal]] = field(default_factory=list)
    """Drift before and after each completed rebalance, in percent of the portfolio."""
    outside: dict[str, str] = field(default_factory=dict)
    """Why a portfolio is not back in its band at the end, by its id; empty where nothing said so."""


class Simulation:
    """One run, with symbols and users of its own: a run leaves those before it alone. The same seed makes the same
    portfolios and the same prices."""

    def __init__(self, client: Client, *, portfolios: int, seed: int) -> None:
        self._client = client
        self._random = random.Random(seed)  # noqa: S311 - it has to be repeatable
        self._run = uuid.uuid4().hex[:8]
        self._prices = {f"SIM-{self._run}-{n:02}": Decimal(100) for n in range(SYMBOLS)}
        self._pool = ThreadPoolExecutor(_AT_ONCE)
        self._seen_checks: dict[str, str] = {}
        self._wanted = [(n, *self._portfolio()) for n in range(portfolios)]
        self._simulated: list[Simulated] = []
        self.story = Story()

    def open(self) -> Iterator[int]:
        """Portfolios that hold their target, and are watched; gives how many more there are each time."""
        self._quote(self._prices)
        for simulated in self._pool.map(lambda wanted: self._opened(*wanted), self._wanted):
            self._simulated.append(simulated)
            yield 1
        self._wait_for(self._simulated, self._is_watched, "the price watches were not written")
        self._note_evaluations(count=False)

    def move(self, changes: int) -> Iterator[int]:
        """Changes prices in waves; gives how many changed each time, once the wave has had its effect."""
        for start in range(0, changes, WAVE):
            size = min(WAVE, changes - start)
            moved = {symbol: self._moved(symbol) for symbol in self._random.sample(sorted(self._prices), size)}
            holders = [it for it in self._simulated if moved.keys() & it.account.allocation.keys()]
            self.story.crossed += sum(it.leaves_band(view, moved) for it, view in self._looks(holders))
            self._prices |= moved
            self._quote(moved)
            self.story.quotes += size
            self.story.holders += len(holders)
            self._wait_for(holders, partial(self._has_settled, since=time.monotonic()), "the wave had no end")
            self._note_evaluations()
            yield size

    def finish(self) -> Story:
        """Reads what was done about all of it."""
        for rebalances in self._pool.map(lambda it: it.account.rebalances(), self._simulated):
            for each in rebalances:
                self._tell(each)
        self.story.evaluated += sum(self.story.outcomes.values())
        for it, view in self._looks(self._simulated):
            if not it.is_within(view):
                check = it.account.last_check()
                reason = f"{check['rule']}: {check['detail']}" if check and check["rule"] != "within_band" else ""
                self.story.outside[it.account.portfolio_id] = reason
        self._pool.shutdown()
        return self.story

    # Portfolios and prices -------------------------------------------------------------------------------------------

    def _portfolio(self) -> tuple[dict[str, Decimal], dict[str, Any]]:
        """A target of four to eight symbols, in whole percents, and a band."""
        symbols = self._random.sample(sorted(self._prices), self._random.randint(4, 8))
        parts = [self._random.randint(5, 20) for _ in symbols]
        weights = [100 * part // sum(parts) for part in parts]
        weights[0] += 100 - sum(weights)
        return dict(zip(symbols, map(Decimal, weights), strict=True)), self._random.choice(BANDS)

    def _opened(self, number: int, target: dict[str, Decimal], band: dict[str, Any]) -> Simulated:
        body = {
            "user_id": f"sim-{self._run}-{number:03}",
            "allocation": {symbol: str(weight) for symbol, weight in target.items()},
            "policy": {"band": band},
            "cash": str(WORTH),
        }
        account = Account.opened(self._client, body)
        rows = [f"{symbol},BUY,stock,{symbol},{weight * WORTH / 10_000},100" for symbol, weight in target.items()]
        text = "\n".join(["ref_id,side,security_type,symbol,quantity,price", *rows, ""])
        kind = {"Content-Type": "text/csv"}
        answer = self._client.call("POST", f"{account.path}/trades/import", raw=text.encode(), headers=kind)
        expect(answer, 200, 201)
        return Simulated(account, {symbol: _tolerance(band, weight) for symbol, weight in target.items()})

    def _moved(self, symbol: str) -> Decimal:
        factor = Decimal(str(round(max(0.5, self._random.gauss(1, MOVE)), 4)))
        return (self._prices[symbol] * factor).quantize(Decimal("0.0001"))

    def _quote(self, prices: dict[str, Decimal]) -> None:
        now = datetime.now(UTC).isoformat()
        quotes = [{"symbol": symbol, "price": str(price), "as_of": now} for symbol, price in prices.items()]
        expect(self._client.post("/quotes", {"quotes": quotes}), 202)

    # Waiting ---------------------------------------------------------------------------------------------------------

    def _is_watched(self, it: Simulated) -> bool:
        check = it.account.last_check()
        return check is not None and check["rule"] == "within_band"

    def _has_settled(self, it: Simulated, since: float) -> bool:
        """Whether the new prices are stored, nothing is under way, and the portfolio is in its band, or was given time
        and a check says why not: it may be older than these prices, where they moved too little for another one."""
        view = it.account.look()
        if any(price != self._prices[symbol] for symbol, price in view.prices.items()) or it.account.is_locked():
            return False
        if it.is_within(view):
            return True
        check = it.account.last_check()
        return check is not None and check["rule"] != "within_band" and time.monotonic() > since + _GRACE_SECONDS

    def _wait_for(self, those: Iterable[Simulated], is_done: Callable[[Simulated], bool], complaint: str) -> None:
        left, deadline = list(those), time.monotonic() + PATIENCE_SECONDS
        while left:
            left = [it for it, done in zip(left, self._pool.map(is_done, left), strict=True) if not done]
            if left and time.monotonic() > deadline:
                raise LocalError(f"{complaint} for {left[0].account.path}: see `make logs`")
            time.sleep(_PAUSE_SECONDS if left else 0)

    def _looks(self, those: list[Simulated]) -> Iterator[tuple[Simulated, View]]:
        return zip(those, self._pool.map(lambda it: it.account.look(), those), strict=True)

    # The story -------------------------------------------------------------------------------------------------------

    def _note_evaluations(self, *, count: bool = True) -> None:
        """Counts the portfolios whose last check is another than before: what decided nothing leaves no other trace."""
        for it, check in zip(
            self._simulated, self._pool.map(lambda it: it.account.last_check(), self._simulated), strict=True
        ):
            at = check["at"] if check else ""
            crossed = check is not None and check["trigger"] == "crossed"
            if count and crossed and self._seen_checks.get(it.account.portfolio_id) != at:
                self.story.evaluated += 1
            self._seen_checks[it.account.portfolio_id] = at

    def _tell(self, rebalance: dict[str, Any]) -> None:
        self.story.outcomes[rebalance["status"]] += 1
        if rebalance["status"] in PENDING:
            return
        self.story.orders.update(each["status"] for each in (rebalance["execution"] or {"orders": []})["orders"])
        facts = rebalance["why"]["facts"] if rebalance["why"] else {}
        if "drift_after" in facts:
            self.story.drifts.append((Decimal(facts["drift"]), Decimal(facts["drift_after"])))


def _tolerance(band: dict[str, Any], weight: Decimal) -> Decimal:
    value, points = Decimal(band["value"]), Decimal(band.get("points", 0))
    return value if band["type"] == "absolute" else max(weight * value / 100, points)
