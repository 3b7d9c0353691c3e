"""The checks of the sagas themselves: each known bug, put in on purpose, is found by them."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from tests.faults.saga import Scenario
from tests.faults.saga_checks import checked
from tests.faults.saga_laboratory import SagaLaboratory, saga_laboratory
from tests.faults.saga_scenarios import MOVED, SCENARIOS
from tests.faults.saga_workers import LEASE_SECONDS, one_switch, two_workers
from tests.support.faults import CrashAfter, Fault
from trimtab.kernel.money import to_money
from trimtab.portfolios.execution import state_machine as rules
from trimtab.portfolios.execution import worker as executions
from trimtab.portfolios.execution.order_sync import as_asked
from trimtab.portfolios.execution.state_machine import Verdict
from trimtab.portfolios.execution.worker import Executions, _Run
from trimtab.portfolios.ledger.posting import trades_of_fills
from trimtab.portfolios.ledger.store import DynamoLedger
from trimtab.portfolios.ledger.trades import Trade
from trimtab.portfolios.portfolio.model import Portfolio
from trimtab.portfolios.rebalancing import journal_text as journal
from trimtab.portfolios.rebalancing.journal import Execution
from trimtab.portfolios.rebalancing.orders import Order, OrderStatus
from trimtab.runtime import dynamo

Seed = Callable[[pytest.MonkeyPatch], None]
Search = Callable[[SagaLaboratory], list[str]]
FILLED = Scenario()


@pytest.fixture(scope="module")
def saga() -> Iterator[SagaLaboratory]:
    """A laboratory for all of them; what a seed patches, it looks up at each call."""
    with saga_laboratory() as fresh:
        yield fresh


# What is put in ------------------------------------------------------------------------------------------------------


def writes_without_a_condition(patch: pytest.MonkeyPatch) -> None:
    guarded_put = dynamo.guarded_put

    def unguarded_put(table: str, item: dynamo.Item) -> dict[str, Any]:
        return {name: it for name, it in guarded_put(table, item).items() if name in {"TableName", "Item"}}

    patch.setattr(dynamo, "guarded_put", unguarded_put)


def goes_on_without_its_fence(patch: pytest.MonkeyPatch) -> None:
    def reads_again(self: _Run, things: Any) -> bool:
        it = self.rebalance
        self.portfolio, self.rebalance = self.on.store.both(it.tenant_id, it.portfolio_id, it.rebalance_id)  # type: ignore[assignment]
        return self.rebalance in things

    patch.setattr(_Run, "_is_there_already", reads_again)


def takes_no_notice_of_the_lease(patch: pytest.MonkeyPatch) -> None:
    run = Executions.run
    patch.setattr(Executions, "run", lambda self, *ids: run(replace(self, lease_seconds=-1), *ids))


def gives_orders_new_ids_when_it_resumes(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(journal, "order_id_of", lambda *_: str(uuid4()))


def takes_no_answer_for_a_refusal(patch: pytest.MonkeyPatch) -> None:
    brought_up = _Run._brought_up

    def decided(self: _Run, order: Order, **options: Any) -> Order:
        after = brought_up(self, order, **options)
        return replace(after, status=OrderStatus.ENDED) if after.status is OrderStatus.SENT else after

    patch.setattr(_Run, "_brought_up", decided)


def gives_up_at_the_first_time_out(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        rules, "unknown_for_good", lambda it, _: tuple(each for each in it.current if each.status is OrderStatus.SENT)
    )


def never_gives_up(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(rules, "unknown_for_good", lambda *_: ())


def sends_before_it_writes_the_journal(patch: pytest.MonkeyPatch) -> None:
    start = _Run._start

    def sends_first(self: _Run) -> Any:
        for order in self.execution.orders:
            if order.wave == self.execution.next_wave:
                self.on.broker.submit(self.portfolio.portfolio_id, as_asked(order))
        return start(self)

    patch.setattr(_Run, "_start", sends_first)


def sends_again_without_a_look(patch: pytest.MonkeyPatch) -> None:
    take_lease = _Run.take_lease

    def forgetful(self: _Run, now: Any) -> None:
        take_lease(self, now)
        self.sent_here = True

    patch.setattr(_Run, "take_lease", forgetful)


def forgets_that_fills_are_booked(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Execution, "booked", lambda self, *_: self)


def takes_a_part_of_the_fills_for_all_of_them(patch: pytest.MonkeyPatch) -> None:
    booked = Execution.booked
    patch.setattr(Execution, "booked", lambda self, *_: booked(self))


def books_apart_from_the_journal(patch: pytest.MonkeyPatch) -> None:
    put = DynamoLedger.put

    def put_apart(self: DynamoLedger, *things: Any) -> None:
        for thing in things:
            put(self, thing)

    patch.setattr(DynamoLedger, "put", put_apart)


def books_reversals_at_the_planned_price(patch: pytest.MonkeyPatch) -> None:
    def at_the_plan(portfolio: Portfolio, rebalance_id: str, orders: list[Order], now: datetime) -> list[Trade]:
        planned = [replace(it, amount=to_money(it.filled * it.price)) if it.reverses else it for it in orders]
        return trades_of_fills(portfolio, rebalance_id, planned, now)

    patch.setattr(executions, "trades_of_fills", at_the_plan)


def lets_go_after_the_first_wave(patch: pytest.MonkeyPatch) -> None:
    released = Verdict.released
    patch.setattr(Verdict, "released", lambda self, *each: replace(released(self, *each), lock=None))


def lets_go_before_it_books(patch: pytest.MonkeyPatch) -> None:
    settle = _Run._settle

    def lets_go_first(self: _Run) -> None:
        self._write(lambda _: (replace(self.portfolio, lock=None, version=self.portfolio.version + 1),))
        settle(self)

    patch.setattr(_Run, "_settle", lets_go_first)


def begins_anew_when_it_resumes(patch: pytest.MonkeyPatch) -> None:
    take_lease = _Run.take_lease

    def from_the_start(self: _Run, now: Any) -> None:
        orders = [replace(it, status=OrderStatus.PLANNED, is_booked=False) for it in self.execution.orders]
        self.rebalance = replace(self.rebalance, execution=replace(self.execution, wave=0, orders=tuple(orders)))
        take_lease(self, now)

    patch.setattr(_Run, "take_lease", from_the_start)


def reverses_only_what_it_bought(patch: pytest.MonkeyPatch) -> None:
    net = Execution.net_fills
    patch.setattr(Execution, "net_fills", lambda self: {name: it for name, it in net(self).items() if it > 0})


def leaves_a_failed_reversal_without_an_alert(patch: pytest.MonkeyPatch) -> None:
    stale = Portfolio.stale
    patch.setattr(Portfolio, "stale", lambda self, *each: replace(stale(self, *each), events=()))


def puts_off_its_next_look_at_each_message(patch: pytest.MonkeyPatch) -> None:
    wait = _Run._wait
    patch.setattr(_Run, "_wait", lambda self, wake_at: wait(self, wake_at + timedelta(seconds=1)))


# Where it shows ------------------------------------------------------------------------------------------------------


def without_a_crash(scenario: Scenario) -> Search:
    """An undisturbed run."""
    return lambda saga: checked(saga.settled(scenario))


def crash(fault: Callable[[], Fault], scenario: Scenario = FILLED, visibility: int = 120) -> Search:
    """A run with one crash."""
    return lambda saga: checked(saga.settled(scenario, fault(), visibility=visibility))


def overtaken(call: int) -> Search:
    """A worker whose lease expires before that call, while another one is at hand."""

    def search(saga: SagaLaboratory) -> list[str]:
        run = saga.start(FILLED)
        two_workers(run, one_switch(call), lambda _: saga.clock.wait(LEASE_SECONDS + 1))
        return checked(run.settle())

    return search


def two_at_once(saga: SagaLaboratory) -> list[str]:
    """A second worker in the middle of the work of the first, whose lease holds."""
    run = saga.start(FILLED)
    two_workers(run, one_switch(4), lambda _: None)
    (journal,) = (it.execution for it in run.rebalances())
    return checked(run.settle()) + ["taken over while the lease held"] * bool(journal and journal.resumes)


SEEDS: list[tuple[Seed, Search]] = [
    (writes_without_a_condition, overtaken(6)),
    (goes_on_without_its_fence, overtaken(6)),
    (takes_no_notice_of_the_lease, two_at_once),
    (gives_orders_new_ids_when_it_resumes, crash(lambda: CrashAfter(5))),
    (takes_no_answer_for_a_refusal, without_a_crash(SCENARIOS["no answer, arrived"])),
    (gives_up_at_the_first_time_out, without_a_crash(SCENARIOS["no answer, not arrived"])),
    (never_gives_up, without_a_crash(SCENARIOS["never an answer"])),
    (sends_before_it_writes_the_journal, without_a_crash(FILLED)),
    (sends_again_without_a_look, crash(lambda: CrashAfter(4), SCENARIOS["a broker that does not know ids"])),
    (forgets_that_fills_are_booked, without_a_crash(FILLED)),
    (takes_a_part_of_the_fills_for_all_of_them, without_a_crash(SCENARIOS["booked in parts"])),
    (books_apart_from_the_journal, crash(lambda: CrashAfter(8))),
    (books_reversals_at_the_planned_price, without_a_crash(MOVED)),
    (lets_go_after_the_first_wave, without_a_crash(FILLED)),
    (lets_go_before_it_books, without_a_crash(FILLED)),
    (begins_anew_when_it_resumes, crash(lambda: CrashAfter(8))),
    (reverses_only_what_it_bought, without_a_crash(SCENARIOS["the buy refused"])),
    (leaves_a_failed_reversal_without_an_alert, without_a_crash(SCENARIOS["never reversed"])),
    (
        puts_off_its_next_look_at_each_message,
        crash(lambda: CrashAfter(23), SCENARIOS["reversed at the second try"], visibility=20),
    ),
]


@pytest.mark.parametrize(("seed", "search"), SEEDS, ids=[seed.__name__ for seed, _ in SEEDS])
def test_the_checks_find_a_saga_that(
    saga: SagaLaboratory, monkeypatch: pytest.MonkeyPatch, seed: Seed, search: Search
) -> None:
    assert search(saga) == []
    seed(monkeypatch)
    assert search(saga) != []
