"""The saga test bench: an in-process system with fault injection and a clock, in which runs follow each other."""

import json
import logging
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from unittest import mock

from functions.balancing_api import handler as balancing_function
from functions.balancing_on_sweep import handler as sweep_function
from functions.execution_on_execution_requested import handler as execution_function
from functions.market_api import handler as market_function
from functions.portfolios_api import app as api_function
from tests.faults.saga import DEPOSIT, HELD, WORKERS, Message, SagaRun, Scenario, StillClock
from tests.faults.saga_broker import Exchange
from tests.support.fast_moto import quick_items
from tests.support.faults import Fault, Faults, injecting
from tests.support.moto_state import quick_transactions, snapshot
from tests.support.system import System, in_process_system
from tests.support.trading import Account
from trimtab.portfolios.execution.brokers import broker_from
from trimtab.portfolios.execution.worker import Executions
from trimtab.runtime.measures import metrics

CLOCKED = (api_function, balancing_function, market_function, sweep_function, *WORKERS.values())


@dataclass
class SagaLaboratory:
    """An in-process system with fault injection and a clock, in which runs follow each other."""

    system: System
    faults: Faults
    clock: StillClock
    account: Account = field(init=False)
    run: SagaRun = field(init=False)
    _bases: dict[Any, Any] = field(default_factory=dict)

    @property
    def urls(self) -> dict[str, str]:
        """Where the queues are."""
        here = self.system
        return {"quotes": here.quotes_url, "checks": here.checks_url, "executions": here.executions_url}

    def start(self, scenario: Scenario, **options: Any) -> SagaRun:
        """A run of the scenario, before its first call."""
        with self.faults.paused():
            self.faults.set()
            bring_back, now, waiting = self._base(scenario)
            bring_back()
        self.clock.now = now
        messages = [Message(it.queue, it.body, it.due, it.id) for it in waiting]
        self.run = self._fresh(scenario, messages, is_fed=not scenario.from_quote, **options)
        self._choose_broker(scenario)
        return self.run

    def settled(self, scenario: Scenario, *faults: Fault, **options: Any) -> SagaRun:
        """A run of the scenario in which these faults happen, to its end."""
        run = self.start(scenario, **options)
        self.faults.set(*faults)
        return run.settle()

    def _fresh(self, scenario: Scenario, waiting: list[Message], *, is_fed: bool, **options: Any) -> SagaRun:
        prices = {"AAPL": Decimal(100), "MSFT": Decimal(100), "NVDA": Decimal(60 if is_fed else 100)}
        exchange = Exchange(self.faults, lambda symbol: prices[symbol], scenario.fates, scenario.knows_ids)
        return SagaRun(self, scenario, exchange, waiting, is_fed, prices=prices, **options)

    def _choose_broker(self, scenario: Scenario) -> None:
        execution_function.executions.cache_clear()
        rules = json.dumps(scenario.paper or [])
        chosen = broker_from if scenario.paper is not None else lambda *_: self.run.exchange
        with (
            self.faults.paused(),
            mock.patch.dict(os.environ, {"PAPER_SCENARIO": rules}),
            mock.patch.object(execution_function, "broker_from", chosen),
            mock.patch.object(execution_function, "Executions", lambda *wired: scenario.limited(Executions(*wired))),
        ):
            execution_function.executions()

    def _base(self, scenario: Scenario) -> Any:
        """What runs of this policy begin with; made once."""
        key = (tuple(sorted(scenario.policy.items())), scenario.from_quote)
        if key not in self._bases:
            snapshot_of_nothing = self._bases.setdefault("nothing", snapshot())
            snapshot_of_nothing()
            self._bases[key] = self._made(scenario)
        return self._bases[key]

    def _made(self, scenario: Scenario) -> Any:
        self.clock.now = StillClock().now
        self.account = Account(self.system, self.system.portfolio("1", HELD, policy=dict(scenario.policy)))
        assert self.account.cash("d", "deposit", str(DEPOSIT)).status == 201
        self.run = run = self._fresh(Scenario(), [], is_fed=True)
        run.feed(AAPL="100", MSFT="100", NVDA="100")
        for symbol, quantity in HELD.items():
            body = {"ref_id": symbol, "side": "BUY", "security_type": "stock", "symbol": symbol}
            assert self.account.post_trade({**body, "quantity": quantity, "price": 100}).status == 201
        run.settle()
        if not scenario.from_quote:
            run.feed(NVDA="60")
            while not run.rebalances():
                run.step()
        run.collect()
        return snapshot(), self.clock.now, list(run.waiting)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without logs and metrics: thousands of runs write a hundred lines each, which nobody reads and pytest keeps."""
    emitter = metrics.provider
    logging.disable(logging.CRITICAL)
    try:
        with mock.patch.object(emitter, "flush_metrics", side_effect=lambda **_: emitter.clear_metrics()):
            yield
    finally:
        logging.disable(logging.NOTSET)


@contextmanager
def saga_laboratory(*, is_quick: bool = True) -> Iterator[SagaLaboratory]:
    """A fresh laboratory; where it is quick, no request is made, so only crashes can be injected."""
    clock = StillClock()
    with ExitStack() as stack:
        for function in CLOCKED:
            stack.enter_context(mock.patch.object(function, "utc_now", clock))
        stack.enter_context(_quiet())
        here = stack.enter_context(in_process_system())
        stack.enter_context(quick_transactions())
        if is_quick:
            stack.enter_context(quick_items())
        faults = stack.enter_context(injecting())
        yield SagaLaboratory(here, faults, clock)
