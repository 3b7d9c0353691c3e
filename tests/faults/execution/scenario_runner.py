"""An in-process system with fault injection and a manual clock, in which scenarios run one after the other."""

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
from tests.faults.execution.scenario_run import (
    DEPOSIT,
    HELD,
    WORKERS,
    ManualClock,
    QueuedMessage,
    Scenario,
    ScenarioRun,
)
from tests.faults.execution.scripted_broker import ScriptedBroker
from tests.support.assets import accept_every_price
from tests.support.assurance import tried
from tests.support.fast_moto import fast_items
from tests.support.faults import Fault, Faults, injecting
from tests.support.moto_state import fast_transactions, snapshot
from tests.support.system import System, in_process_system
from tests.support.trading import Account
from trimtab.portfolios.execution.brokers import broker_from
from trimtab.portfolios.execution.worker import ExecutionWorker
from trimtab.runtime.metrics import metrics

CLOCKED = (api_function, balancing_function, market_function, sweep_function, *WORKERS.values())


@dataclass
class ScenarioRunner:
    """Runs scenarios one after the other, each from the same stored state."""

    system: System
    faults: Faults
    clock: ManualClock
    account: Account = field(init=False)
    run: ScenarioRun = field(init=False)
    _bases: dict[Any, Any] = field(default_factory=dict)

    @property
    def urls(self) -> dict[str, str]:
        """URLs of the queues by name."""
        here = self.system
        return {"quotes": here.quotes_url, "checks": here.checks_url, "executions": here.executions_url}

    def start(self, scenario: Scenario, **options: Any) -> ScenarioRun:
        """Prepare a run of the scenario, before its first call."""
        tried()
        with self.faults.paused():
            self.faults.set()
            restore, now, waiting = self._base(scenario)
            restore()
        self.clock.now = now
        messages = [QueuedMessage(each.queue, each.body, each.due, each.id) for each in waiting]
        self.run = self._fresh(scenario, messages, is_fed=not scenario.from_quote, **options)
        self._choose_broker(scenario)
        return self.run

    def settled(self, scenario: Scenario, *faults: Fault, **options: Any) -> ScenarioRun:
        """Run the scenario with these faults to its end."""
        run = self.start(scenario, **options)
        self.faults.set(*faults)
        return run.settle()

    def _fresh(self, scenario: Scenario, waiting: list[QueuedMessage], *, is_fed: bool, **options: Any) -> ScenarioRun:
        prices = {"AAPL": Decimal(100), "MSFT": Decimal(100), "NVDA": Decimal(60 if is_fed else 100)}
        broker = ScriptedBroker(self.faults, lambda symbol: prices[symbol], scenario.scripts, scenario.knows_ids)
        return ScenarioRun(self, scenario, broker, waiting, is_fed, prices=prices, **options)

    def _choose_broker(self, scenario: Scenario) -> None:
        execution_function.execution_worker.cache_clear()
        rules = json.dumps(scenario.paper or [])

        def limited(*wired: Any, **options: Any) -> ExecutionWorker:
            return scenario.limit(ExecutionWorker(*wired, **options))

        chosen = broker_from if scenario.paper is not None else lambda *_: self.run.broker
        with (
            self.faults.paused(),
            mock.patch.dict(os.environ, {"PAPER_SCENARIO": rules}),
            mock.patch.object(execution_function, "broker_from", chosen),
            mock.patch.object(execution_function, "ExecutionWorker", limited),
        ):
            execution_function.execution_worker()

    def _base(self, scenario: Scenario) -> Any:
        """Return the state from which scenarios of this policy start; made once."""
        key = (tuple(sorted(scenario.policy.items())), scenario.from_quote)
        if key not in self._bases:
            restore_empty = self._bases.setdefault("empty", snapshot())
            restore_empty()
            self._bases[key] = self._made(scenario)
        return self._bases[key]

    def _made(self, scenario: Scenario) -> Any:
        self.clock.now = ManualClock().now
        self.account = Account(self.system, self.system.portfolio("1", HELD, policy=dict(scenario.policy)))
        assert self.account.cash("d", "deposit", str(DEPOSIT)).status == 201
        self.run = run = self._fresh(Scenario(), [], is_fed=True)
        accept_every_price("AAPL", "MSFT", "NVDA")
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
    """Disable logs and metrics: thousands of runs write a hundred lines each, which pytest would keep."""
    emitter = metrics.provider
    logging.disable(logging.CRITICAL)
    try:
        with mock.patch.object(emitter, "flush_metrics", side_effect=lambda **_: emitter.clear_metrics()):
            yield
    finally:
        logging.disable(logging.NOTSET)


@contextmanager
def scenario_runner(*, is_quick: bool = True) -> Iterator[ScenarioRunner]:
    """Yield a runner over fresh tables; a quick one makes no HTTP requests, so only crashes can be injected."""
    clock = ManualClock()
    with ExitStack() as stack:
        for function in CLOCKED:
            stack.enter_context(mock.patch.object(function, "utc_now", clock))
        stack.enter_context(_quiet())
        here = stack.enter_context(in_process_system())
        stack.enter_context(fast_transactions())
        if is_quick:
            stack.enter_context(fast_items())
        faults = stack.enter_context(injecting())
        yield ScenarioRunner(here, faults, clock)
