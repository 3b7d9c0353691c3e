"""Tests of the invariants: each seeded bug must be found by a run."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from msgspec.structs import replace

from tests.faults.execution.invariants import checked
from tests.faults.execution.scenario_run import Scenario
from tests.faults.execution.scenario_runner import ScenarioRunner, scenario_runner
from tests.faults.execution.scenarios import MOVED, SCENARIOS
from tests.faults.execution.two_workers import LEASE_SECONDS, one_switch, two_workers
from tests.support.faults import CrashAfter, Fault
from tests.support.patching import patch_everywhere
from trimtab.kernel.money import to_money
from trimtab.portfolios.execution import state_machine, worker
from trimtab.portfolios.execution.order_sync import OrderSync, to_broker_order
from trimtab.portfolios.execution.state_machine import WaveResult
from trimtab.portfolios.execution.waiting import Pause
from trimtab.portfolios.execution.worker import ExecutionWorker, _ExecutionRun, trades_of_fills
from trimtab.portfolios.ledger.store import LedgerStore
from trimtab.portfolios.ledger.trades import Trade
from trimtab.portfolios.portfolio.model import Portfolio
from trimtab.portfolios.rebalancing import journal as journal_module
from trimtab.portfolios.rebalancing.journal import Execution
from trimtab.portfolios.rebalancing.orders import Order, OrderStatus
from trimtab.runtime.dynamodb.client import Item
from trimtab.runtime.dynamodb.writes import versioned_put

Seed = Callable[[pytest.MonkeyPatch], None]
Search = Callable[[ScenarioRunner], list[str]]
FILLED = Scenario()


@pytest.fixture(scope="module")
def runner() -> Iterator[ScenarioRunner]:
    """One runner for all tests; the code looks up patched functions at each call."""
    with scenario_runner() as fresh:
        yield fresh


# Seeded bugs ---------------------------------------------------------------------------------------------------------


def writes_without_a_condition(patch: pytest.MonkeyPatch) -> None:
    def unconditional_put(table: str, item: Item) -> dict[str, Any]:
        put = versioned_put(table, item)
        return {name: put[name] for name in ("TableName", "Item")}

    patch_everywhere(patch, versioned_put, unconditional_put)


def continues_without_the_fence(patch: pytest.MonkeyPatch) -> None:
    def read_again(self: _ExecutionRun, records: Any) -> bool:
        ids = (self.rebalance.tenant_id, self.rebalance.portfolio_id, self.rebalance.rebalance_id)
        self.portfolio, self.rebalance = self.worker.store.portfolio_and_rebalance(*ids)  # type: ignore[assignment]
        return self.rebalance in records

    patch.setattr(_ExecutionRun, "_is_saved_already", read_again)


def ignores_the_lease(patch: pytest.MonkeyPatch) -> None:
    run = ExecutionWorker.run
    patch.setattr(ExecutionWorker, "run", lambda self, *ids: run(replace(self, lease_seconds=-1), *ids))


def gives_orders_new_ids_when_resumed(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(journal_module, "client_order_id_of", lambda *_: str(uuid4()))


def counts_a_missing_answer_as_a_refusal(patch: pytest.MonkeyPatch) -> None:
    refresh = OrderSync.refresh

    def refuse_unanswered(self: OrderSync, order: Order) -> Order:
        after = refresh(self, order)
        return replace(after, status=OrderStatus.ENDED) if after.status is OrderStatus.SENT else after

    patch.setattr(OrderSync, "refresh", refuse_unanswered)


def gives_up_at_the_first_time_out(patch: pytest.MonkeyPatch) -> None:
    def unanswered(execution: Execution, _: Any) -> tuple[Order, ...]:
        return tuple(order for order in execution.current if order.status is OrderStatus.SENT)

    patch.setattr(state_machine, "lost_orders", unanswered)


def never_gives_up(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(state_machine, "lost_orders", lambda *_: ())


def sends_before_writing_the_journal(patch: pytest.MonkeyPatch) -> None:
    start_wave = _ExecutionRun._start_wave

    def send_first(self: _ExecutionRun) -> Any:
        for order in self.execution.orders:
            if order.wave == self.execution.next_wave:
                self.worker.broker.submit(self.portfolio.portfolio_id, to_broker_order(order, self.execution.currency))
        return start_wave(self)

    patch.setattr(_ExecutionRun, "_start_wave", send_first)


def resends_without_a_look_up(patch: pytest.MonkeyPatch) -> None:
    take_lease = _ExecutionRun.take_lease

    def forgetful(self: _ExecutionRun, now: Any) -> None:
        take_lease(self, now)
        self.is_new_wave = True

    patch.setattr(_ExecutionRun, "take_lease", forgetful)


def forgets_that_fills_are_posted(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Execution, "mark_posted", lambda self, *_: self)


def marks_all_fills_as_posted_with_the_first_batch(patch: pytest.MonkeyPatch) -> None:
    mark_posted = Execution.mark_posted
    patch.setattr(Execution, "mark_posted", lambda self, *_: mark_posted(self))


def posts_apart_from_the_journal(patch: pytest.MonkeyPatch) -> None:
    put = LedgerStore.put

    def put_apart(self: LedgerStore, *records: Any) -> None:
        for record in records:
            put(self, record)

    patch.setattr(LedgerStore, "put", put_apart)


def posts_reversals_at_the_planned_price(patch: pytest.MonkeyPatch) -> None:
    def at_planned_prices(portfolio: Portfolio, rebalance_id: str, orders: list[Order], now: datetime) -> list[Trade]:
        planned = {order.client_order_id: to_money(order.filled * order.price) for order in orders if order.reverses}
        changed = [replace(each, amount=planned.get(each.client_order_id, each.amount)) for each in orders]
        return trades_of_fills(portfolio, rebalance_id, changed, now)

    patch.setattr(worker, "trades_of_fills", at_planned_prices)


def unlocks_after_the_first_wave(patch: pytest.MonkeyPatch) -> None:
    apply_to = WaveResult.apply_to
    patch.setattr(WaveResult, "apply_to", lambda self, *arguments: replace(apply_to(self, *arguments), lock=None))


def unlocks_before_posting(patch: pytest.MonkeyPatch) -> None:
    settle_wave = _ExecutionRun._settle_wave

    def unlock_first(self: _ExecutionRun) -> None:
        self._save(lambda _: (replace(self.portfolio, lock=None, version=self.portfolio.version + 1),))
        settle_wave(self)

    patch.setattr(_ExecutionRun, "_settle_wave", unlock_first)


def starts_over_when_resumed(patch: pytest.MonkeyPatch) -> None:
    take_lease = _ExecutionRun.take_lease

    def from_the_start(self: _ExecutionRun, now: Any) -> None:
        orders = [replace(order, status=OrderStatus.PLANNED, is_posted=False) for order in self.execution.orders]
        self.rebalance = replace(self.rebalance, execution=replace(self.execution, wave=0, orders=tuple(orders)))
        take_lease(self, now)

    patch.setattr(_ExecutionRun, "take_lease", from_the_start)


def reverses_only_what_it_bought(patch: pytest.MonkeyPatch) -> None:
    net_fills = Execution.net_fills

    def bought(self: Execution) -> dict[str, Decimal]:
        return {symbol: quantity for symbol, quantity in net_fills(self).items() if quantity > 0}

    patch.setattr(Execution, "net_fills", bought)


def raises_no_alert_for_a_failed_reversal(patch: pytest.MonkeyPatch) -> None:
    mark_stale = Portfolio.mark_stale
    patch.setattr(Portfolio, "mark_stale", lambda self, *arguments: replace(mark_stale(self, *arguments), events=()))


def postpones_its_next_poll_at_each_message(patch: pytest.MonkeyPatch) -> None:
    wait = _ExecutionRun._wait

    def wait_longer(self: _ExecutionRun, pause: Pause) -> None:
        wait(self, replace(pause, until=pause.until + timedelta(seconds=1)))

    patch.setattr(_ExecutionRun, "_wait", wait_longer)


# Runs that find them -------------------------------------------------------------------------------------------------


def without_a_crash(scenario: Scenario) -> Search:
    """Return a run without faults."""
    return lambda runner: checked(runner.settled(scenario))


def crash(fault: Callable[[], Fault], scenario: Scenario = FILLED, visibility: int = 120) -> Search:
    """Return a run with one crash."""
    return lambda runner: checked(runner.settled(scenario, fault(), visibility=visibility))


def overtaken(call: int) -> Search:
    """Return a run in which the lease of one worker expires before this call, while another worker waits."""

    def search(runner: ScenarioRunner) -> list[str]:
        run = runner.start(FILLED)
        two_workers(run, one_switch(call), lambda _: runner.clock.wait(LEASE_SECONDS + 1))
        return checked(run.settle())

    return search


def two_at_once(runner: ScenarioRunner) -> list[str]:
    """Run a second worker while the first one holds a valid lease."""
    run = runner.start(FILLED)
    two_workers(run, one_switch(4), lambda _: None)
    (journal,) = (rebalance.execution for rebalance in run.rebalances())
    return checked(run.settle()) + ["taken over while the lease held"] * bool(journal and journal.resumes)


SEEDS: list[tuple[Seed, Search]] = [
    (writes_without_a_condition, overtaken(6)),
    (continues_without_the_fence, overtaken(6)),
    (ignores_the_lease, two_at_once),
    (gives_orders_new_ids_when_resumed, crash(lambda: CrashAfter(5))),
    (counts_a_missing_answer_as_a_refusal, without_a_crash(SCENARIOS["no answer, arrived"])),
    (gives_up_at_the_first_time_out, without_a_crash(SCENARIOS["no answer, not arrived"])),
    (never_gives_up, without_a_crash(SCENARIOS["never an answer"])),
    (sends_before_writing_the_journal, without_a_crash(FILLED)),
    (resends_without_a_look_up, crash(lambda: CrashAfter(4), SCENARIOS["a broker that does not know ids"])),
    (forgets_that_fills_are_posted, without_a_crash(FILLED)),
    (marks_all_fills_as_posted_with_the_first_batch, without_a_crash(SCENARIOS["booked in parts"])),
    (posts_apart_from_the_journal, crash(lambda: CrashAfter(8))),
    (posts_reversals_at_the_planned_price, without_a_crash(MOVED)),
    (unlocks_after_the_first_wave, without_a_crash(FILLED)),
    (unlocks_before_posting, without_a_crash(FILLED)),
    (starts_over_when_resumed, crash(lambda: CrashAfter(8))),
    (reverses_only_what_it_bought, without_a_crash(SCENARIOS["the buy refused"])),
    (raises_no_alert_for_a_failed_reversal, without_a_crash(SCENARIOS["never reversed"])),
    (
        postpones_its_next_poll_at_each_message,
        crash(lambda: CrashAfter(23), SCENARIOS["reversed at the second try"], visibility=20),
    ),
]


@pytest.mark.parametrize(("seed", "search"), SEEDS, ids=[seed.__name__ for seed, _ in SEEDS])
def test_the_invariants_find_an_execution_that(
    runner: ScenarioRunner, monkeypatch: pytest.MonkeyPatch, seed: Seed, search: Search
) -> None:
    assert search(runner) == []
    seed(monkeypatch)
    assert search(runner) != []
