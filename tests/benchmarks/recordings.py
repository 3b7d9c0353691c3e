"""Recorded invocations: the event of a request or batch, and the answers of AWS to the calls of the function.

The in-process system answers the calls while an invocation is recorded. `replay.py` repeats the invocation in a process
of its own, against the recorded answers.
"""

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from io import StringIO
from types import ModuleType
from typing import Any
from unittest import mock

from botocore.endpoint import Endpoint

from functions.analytics_api import handler as analytics
from functions.balancing_on_check_requested import handler as check
from functions.betting_api import handler as betting
from functions.market_on_quote_received import handler as quote
from functions.portfolios_api import handler as portfolios
from functions.rebalancing_on_rebalance_requested import handler as decide
from tests.support.analytics import ValuedPortfolio, rising_closes, store_bars, trading_days
from tests.support.balancing import Balancing, balanced
from tests.support.betting import Bettor
from tests.support.system import System, in_process_system, sqs_record
from tests.support.trading import Account
from trimtab.kernel.clock import utc_now
from trimtab.runtime.observability import logger

SYMBOLS = tuple(f"SYM{number}" for number in range(50))
TWO_YEARS = timedelta(days=730)


@dataclass(frozen=True)
class Recording:
    """An invocation of the function `function`; each answer has operation, status, headers and content."""

    function: str
    event: dict[str, Any]
    answers: list[tuple[str, int, dict[str, str], str]]


def accept(system: System) -> tuple[ModuleType, Callable[[], Any]]:
    """Accept a drift report of 5 assets over HTTP."""
    system.portfolio(allocation=_drifting(5, 0))
    body = {"user_id": "1", "new_allocation": _drifting(5, 1), "request_id": "r"}
    return portfolios, lambda: system.http("POST", "/rebalance", body)


def decide_batch(system: System) -> tuple[ModuleType, Callable[[], Any]]:
    """Decide a batch of 10 drift reports of 50 assets."""
    system.portfolio(allocation=_drifting(50, 0))
    names = {"schema_version": 1, "type": "rebalance.requested", "tenant_id": "demo", "user_id": "1"}
    reports = [{**names, "new_allocation": _drifting(50, 1 + n % 2), "request_id": f"r{n}"} for n in range(10)]
    records = [sqs_record(json.dumps(report), message_id=f"m{n}") for n, report in enumerate(reports)]
    return decide, lambda: system.invoke_worker(*records)


def record_trade(system: System) -> tuple[ModuleType, Callable[[], Any]]:
    """Record a trade of a portfolio that holds two assets."""
    market = balanced(system)
    market.deposit(1_000, "more")
    return portfolios, lambda: market.buy("NVDA", 1, 100)


def store_quotes(system: System) -> tuple[ModuleType, Callable[[], Any]]:
    """Store quotes of two symbols that cross no watch."""
    market = balanced(system)
    return quote, lambda: market.quote(AAPL="100.01", MSFT="99.99")


def check_portfolio(system: System) -> tuple[ModuleType, Callable[[], Any]]:
    """Check a portfolio of 50 assets inside their bands, after a deposit."""
    market = Balancing(system, Account(system, system.portfolio("1", dict.fromkeys(SYMBOLS, 2))))
    market.deposit(50_000)
    market.quote(**dict.fromkeys(SYMBOLS, 100))
    for symbol in SYMBOLS:
        market.buy(symbol, 10, 100)
    market.settle()
    market.deposit(10, "more")
    market.stream()
    return check, system.process_checks


def place_order(system: System) -> tuple[ModuleType, Callable[[], Any]]:
    """Place a betting order on a market with one order."""
    bettor = Bettor(system)
    bettor.place_successfully("BACK", "10.00", "2.5")
    return betting, lambda: bettor.place("BACK", "10.00", "2.5", key="next")


def read_performance(system: System) -> tuple[ModuleType, Callable[[], Any]]:
    """Read the performance of two years of daily values."""
    days = trading_days(utc_now().date() - TWO_YEARS, utc_now().date() - timedelta(days=1))
    portfolio = ValuedPortfolio(system, system.portfolio("1", {"AAPL": 100}))
    store_bars({"AAPL": rising_closes(days, 100, 0.0005)})
    portfolio.cash("cash", "deposit", 10_000, days[0])
    portfolio.trade("buy", "BUY", "AAPL", 50, 100, days[0])
    portfolio.request_valuation(days[0])
    portfolio.run_workers()
    return analytics, lambda: portfolio.get("performance", window="all")


PATHS = {
    "accept, 5 assets": accept,
    "decide 10 reports, 50 assets": decide_batch,
    "record a trade": record_trade,
    "store two quotes": store_quotes,
    "check, 50 assets": check_portfolio,
    "place a betting order": place_order,
    "performance of two years": read_performance,
}


def record(prepare: Callable[[System], tuple[ModuleType, Callable[[], Any]]]) -> Recording:
    """Return the first invocation of the function that the prepared action causes."""
    for handler in logging.getLogger(logger.name).handlers:
        handler.setStream(StringIO())  # type: ignore[attr-defined]
    with redirect_stdout(StringIO()), in_process_system() as system:
        function, act = prepare(system)
        recordings: list[Recording] = []
        invoke = function.handler

        def recorded(event: dict[str, Any], context: Any) -> Any:
            with _recorded_answers() as answers:
                result = invoke(event, context)
            package = str(function.__name__).removeprefix("functions.").removesuffix(".handler")
            recordings.append(Recording(package, event, answers))
            return result

        with mock.patch.object(function, "handler", recorded):
            act()
    return recordings[0]


@contextmanager
def _recorded_answers() -> Iterator[list[tuple[str, int, dict[str, str], str]]]:
    answers: list[tuple[str, int, dict[str, str], str]] = []
    get = Endpoint._get_response  # type: ignore[attr-defined]

    def recorded(self: Endpoint, request: Any, operation: Any, context: Any) -> Any:
        success, error = get(self, request, operation, context)
        if success:
            response, _ = success
            headers = {name: value for name, value in response.headers.items() if name.lower() != "content-length"}
            answers.append((operation.name, response.status_code, headers, response.content.decode()))
        return success, error

    with mock.patch.object(Endpoint, "_get_response", recorded):
        yield answers


def _drifting(assets: int, shift: int) -> dict[str, str]:
    """Return weights that sum to 100; another shift is another drift of all assets."""
    even = Decimal(100) / assets
    signs = [1, -1] * (assets // 2) + [0] * (assets % 2)
    return {f"SYM{n}": str(even + sign * shift * Decimal("0.13")) for n, sign in enumerate(signs)}
