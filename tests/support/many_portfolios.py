"""Many portfolios in one market, driven through the real functions, with counts of checks, rebalances and orders."""

import random
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from unittest import mock

from moto.dynamodb.models.dynamo_type import DynamoType

from functions.balancing_api import handler as balancing_function
from functions.balancing_on_check_requested import handler as check_function
from functions.balancing_on_sweep import handler as sweep_function
from functions.execution_on_execution_requested import handler as execution_function
from functions.market_api import handler as market_function
from functions.market_on_quote_received import handler as quote_function
from functions.portfolios_api import app as api_function
from tests.support.assets import accept_every_price
from tests.support.fast_moto import fast_items
from tests.support.fast_quotes import fast_quotes
from tests.support.moto_state import fast_transactions, table, waiting
from tests.support.system import TABLE, System, forget_cached
from tests.support.trading import FEED
from trimtab.kernel.money import HUNDRED, apportion
from trimtab.portfolios.balancing.check_store import CheckStore
from trimtab.portfolios.execution.brokers import broker_from
from trimtab.portfolios.portfolio.holdings import Holding, SecurityType
from trimtab.portfolios.portfolio.model import Portfolio, portfolio_id_of
from trimtab.portfolios.portfolio.policy import Band, BandType, Destination, Mode, Policy
from trimtab.portfolios.portfolio.store import PortfolioStore
from trimtab.portfolios.portfolio.watch_state import EvaluationCause, WatchState
from trimtab.portfolios.rebalancing.model import Rebalance
from trimtab.runtime.dynamodb.client import deserialize, dynamodb_client

CLOCKED = (
    *(balancing_function, market_function, quote_function, api_function, check_function, execution_function),
    sweep_function,
)
COUNTING = (quote_function, check_function, execution_function, sweep_function)
_SMALLEST = Decimal("0.000000001")
POLICIES = (
    Policy(),
    Policy(Band(BandType.RELATIVE, Decimal(25))),
    Policy(Band(BandType.HYBRID, Decimal(20), Decimal(1))),
    Policy(Band(BandType.RELATIVE, Decimal(20)), Destination.BAND_EDGE),
    Policy(total_drift=Decimal(3)),
    Policy(Band(BandType.RELATIVE, Decimal(30)), whole_shares=True, cash_target=Decimal(2)),
    Policy(Band(BandType.RELATIVE, Decimal(25)), minimum_trade=Decimal(250)),
    Policy(Band(BandType.ABSOLUTE, Decimal(1)), mode=Mode.SELL_ONLY),
)
"""Policies that differ in when and how prices lead to rebalances."""


@dataclass
class WaveCounts:
    """Counts of one wave of price changes.

    `checks_per_change` and `checks_per_holder` are the checks of a system without watches: one for each change and
    holder, or one for each portfolio that holds a changed symbol.
    """

    changes: int
    checks_per_change: int
    checks_per_holder: int
    crossed: int
    evaluated: int = 0
    rewatched: int = 0
    rebalanced: int = 0
    orders: int = 0


@dataclass
class ManyPortfolios:
    """Portfolios in one market. `now` is the time on the clock of every function."""

    system: System
    now: datetime
    portfolios: list[Portfolio] = field(default_factory=list)
    prices: dict[str, Decimal] = field(default_factory=dict)
    counted: Counter[str] = field(default_factory=Counter)
    _quoted: set[str] = field(default_factory=set)

    def join(self, weights: Mapping[str, Any], policy: Policy, value: Decimal, cash: Decimal) -> Portfolio:
        """Add a portfolio at its target weights at the present prices, with this cash."""
        number = str(len(self.portfolios))
        allocation = apportion(HUNDRED, {name: Decimal(str(each)) for name, each in weights.items()}, 4)
        holdings = {
            symbol: Holding(
                symbol, SecurityType.STOCK, (value * weight / 100 / self.prices[symbol]).quantize(_SMALLEST)
            )
            for symbol, weight in allocation.items()
        }
        portfolio = Portfolio(
            *("demo", portfolio_id_of("demo", number, "default"), number, "default", "USD", allocation, policy, cash),
            *("1:hash", self.now, self.now),
            holdings=holdings,
            watch_state=WatchState(evaluation_due=EvaluationCause.HOLDINGS, changed_at=self.now),
        )
        assert PortfolioStore(dynamodb_client(), TABLE).insert(portfolio) is None
        self.portfolios.append(portfolio)
        return portfolio

    def quote(self, prices: Mapping[str, Decimal], seconds: float = 1) -> int:
        """Feed quotes after these seconds; return the number of portfolios whose bounds they cross.

        Every price is plausible.
        """
        accept_every_price(*(prices.keys() - self._quoted))
        self._quoted |= prices.keys()
        self.now += timedelta(seconds=seconds)
        self.prices |= prices
        as_of = self.now.isoformat()
        rows = [{"symbol": symbol, "price": str(price), "as_of": as_of} for symbol, price in prices.items()]
        for start in range(0, len(rows), 500):
            body = {"quotes": rows[start : start + 500]}
            answer = self.system.http("POST", "/quotes", body, authorizer=FEED)
            assert answer.status == 202, answer.text
        self.system.process_quotes()
        return len(waiting(self.system.checks_url))

    def settle(self) -> None:
        """Run stream, checks and executions until nothing is left to do."""
        for _ in range(20):
            streamed = self._stream()
            if not self.system.process_checks() + self.system.process_executions() + streamed:
                return
        raise AssertionError("does not settle")

    def _stream(self) -> int:
        shard = table().stream_shard
        new = [each.to_json() for each in shard.items]
        shard.items.clear()
        marked = [record for record in new if "evaluation_due" in record["dynamodb"].get("NewImage", {})]
        if marked:
            self.system.pass_stream(marked)
        return len(marked)

    def wave(self, prices: Mapping[str, Decimal]) -> WaveCounts:
        """Feed the prices in one call, settle, and return the counts."""
        held = [sum(symbol in portfolio.holdings for symbol in prices) for portfolio in self.portfolios]
        crossed = self.quote(prices)
        wave = WaveCounts(len(prices), sum(held), sum(map(bool, held)), crossed)
        before = Counter(self.counted)
        self.system.process_checks()
        wave.evaluated = self.counted["ChecksEvaluated"] - before["ChecksEvaluated"]
        self.settle()
        wave.rewatched = self.counted["ChecksEvaluated"] - before["ChecksEvaluated"] - wave.evaluated
        wave.rebalanced = self.counted["RebalancesPlanned"] - before["RebalancesPlanned"]
        wave.orders = self.counted["orders"] - before["orders"]
        return wave

    def portfolio(self, number: int = 0) -> Portfolio:
        """Return the stored portfolio of this number."""
        portfolio = self.portfolios[number]
        found = PortfolioStore(dynamodb_client(), TABLE).portfolio(portfolio.tenant_id, portfolio.portfolio_id)
        assert found is not None
        return found

    def last_check(self, number: int = 0) -> tuple[str, dict[str, Any]]:
        """Return code and details of the reason of the last check that traded nothing."""
        portfolio = self.portfolios[number]
        note = CheckStore(dynamodb_client(), TABLE).last_check(portfolio.tenant_id, portfolio.portfolio_id)
        assert note is not None
        return note.reason.code, dict(note.reason.details)

    def newest(self, number: int = 0) -> Rebalance | None:
        """Return the newest rebalance of a portfolio."""
        pk = f"T#demo#P#{self.portfolios[number].portfolio_id}"
        of_it = table().items.get(DynamoType({"S": pk}), {})
        items = [deserialize(each.to_json()["Attributes"]) for each in of_it.values()]
        rebalances = [Rebalance.from_item(item) for item in items if item["sk"].startswith("REBALANCE#")]
        return max(rebalances, key=lambda rebalance: rebalance.created_at, default=None)


@contextmanager
def many_portfolios(
    system: System, prices: Mapping[str, Decimal], start: datetime | None = None
) -> Iterator[ManyPortfolios]:
    """Yield a market with these prices and without portfolios."""
    market = ManyPortfolios(system, start or datetime(2026, 11, 20, 15, tzinfo=UTC))

    def now() -> datetime:
        return market.now

    def count(name: str, amount: int = 1) -> None:
        market.counted[name] += amount

    def sent(broker: Any) -> Any:
        def submit(*arguments: Any) -> Any:
            market.counted["orders"] += 1
            return send(*arguments)

        send = broker.submit
        return mock.Mock(wraps=broker, submit=submit)

    build = broker_from
    with ExitStack() as patches, fast_transactions(), fast_items(), fast_quotes():
        for function in CLOCKED:
            patches.enter_context(mock.patch.object(function, "utc_now", now))
        for function in COUNTING:
            patches.enter_context(mock.patch.object(function, "count", count))
        patches.enter_context(
            mock.patch.object(execution_function, "broker_from", lambda *arguments: sent(build(*arguments)))
        )
        forget_cached()
        market.quote(prices)
        yield market


def invested(market: ManyPortfolios, portfolios: int, symbols: int, chance: random.Random) -> None:
    """Add portfolios of random symbols, with every policy in turn, at their targets and watched."""
    for number in range(portfolios):
        weights = {symbol: chance.randint(1, 9) for symbol in chance.sample(sorted(market.prices), symbols)}
        policy, value = POLICIES[number % len(POLICIES)], Decimal(chance.randint(100_000, 1_000_000))
        market.join(weights, policy, value, (value * policy.cash_target / 98 + value / 200).quantize(Decimal("0.01")))
    market.settle()


def market_of(symbols: int, chance: random.Random, scale: Decimal = Decimal(1)) -> dict[str, Decimal]:
    """Return random prices between 5 and 500, times the scale, for a number of symbols."""
    return {f"S{number:03}": scale * Decimal(chance.randint(500, 50_000)) / 100 for number in range(symbols)}


def moved(
    prices: Mapping[str, Decimal], amount: int, chance: random.Random, spread: float = 0.15
) -> dict[str, Decimal]:
    """Return a random sample of the prices, each moved by a random factor."""
    chosen = chance.sample(sorted(prices), amount)
    factors = (Decimal(str(round(chance.lognormvariate(0, spread), 6))) for _ in chosen)
    return {
        symbol: max(_SMALLEST, (prices[symbol] * by).quantize(_SMALLEST))
        for symbol, by in zip(chosen, factors, strict=True)
    }
