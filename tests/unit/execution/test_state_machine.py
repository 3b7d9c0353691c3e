"""The state machine of an execution: the next step of each journal, and the state that each finished wave leads to."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from tests.unit import samples
from tests.unit.samples import MINUTE, NOW, portfolio
from trimtab.contracts.portfolios import PortfolioStatus
from trimtab.portfolios.execution.halt_controls import HaltControl
from trimtab.portfolios.execution.state_machine import (
    NextStep,
    WaveResult,
    cancel_unsent,
    give_up,
    journal_of,
    lost_orders,
    mark_stale_if_overdrawn,
    must_cancel_open_orders,
    must_give_up,
    next_reversals,
    next_step,
    post_first_fills,
    quarantine_of_refusals,
    settle_wave,
    start_wave,
)
from trimtab.portfolios.execution.waiting import RetryLimits
from trimtab.portfolios.portfolio.brake import DEFAULT_LIMITS, Quarantine
from trimtab.portfolios.portfolio.holdings import Side
from trimtab.portfolios.portfolio.lock import Lock
from trimtab.portfolios.portfolio.policy import OnDeposit, OnIncomplete, Policy, Restriction
from trimtab.portfolios.portfolio.watch_state import EvaluationCause, Trigger, WatchState
from trimtab.portfolios.rebalancing.journal import (
    BUYS,
    FIRST_TOP_UP,
    MAX_REVERSALS,
    SELLS,
    Execution,
    ExecutionPolicy,
    Funds,
    client_order_id_of,
)
from trimtab.portfolios.rebalancing.model import Reason, Rebalance, RebalanceStatus
from trimtab.portfolios.rebalancing.orders import NO_CASH, Order, OrderStatus, RefusalKind, SkippedLeg

D = Decimal
LIMITS = RetryLimits()
DEADLINE = NOW + timedelta(hours=6)
LATER = NOW + MINUTE
COMPENSATE, KEEP = OnIncomplete.COMPENSATE, OnIncomplete.KEEP
DECIDED = Reason("out_of_band", "A is out of band.", {"weights": {"A": "60"}})
STATUS = RebalanceStatus


def order(symbol: str, side: Side, status: OrderStatus, **changes: Any) -> Order:
    """Return an order of 10 at a price of 2 in the wave of its side; a filled one is filled completely."""
    wave = SELLS if side is Side.SELL else BUYS
    first = Order(client_order_id_of("r", symbol, wave), symbol, side, D(10), D(2), wave, status=status)
    filled: dict[str, Any] = {"filled": D(10), "amount": D(20)} if status is OrderStatus.FILLED else {}
    return replace(first, **(filled | changes))


def sell(status: OrderStatus = OrderStatus.FILLED, **changes: Any) -> Order:
    return order("A", Side.SELL, status, **changes)


def buy(status: OrderStatus = OrderStatus.PLANNED, **changes: Any) -> Order:
    return order("B", Side.BUY, status, **changes)


def journal(*orders: Order, on_partial: OnIncomplete = COMPENSATE, **changes: Any) -> Execution:
    """Return a journal in its first wave, started at `NOW`."""
    policy = ExecutionPolicy(D(1), False, on_partial, changes.pop("on_cancel", COMPENSATE))
    first = Execution(orders, (), policy, DEADLINE, wave=SELLS, wave_started_at=NOW)
    return replace(first, **changes)


def rebalance(execution: Execution, status: RebalanceStatus = STATUS.EXECUTING, **changes: Any) -> Rebalance:
    """Return a rebalance in execution."""
    return samples.rebalance(status=status, reason=DECIDED, execution=execution, **changes)


def settled(*orders: Order, status: RebalanceStatus = STATUS.EXECUTING, **changes: Any) -> WaveResult:
    """Return the result of a finished wave."""
    execution = journal(*orders, **changes)
    return settle_wave(rebalance(execution, status), execution, LATER, LIMITS)


def outcome(result: WaveResult) -> tuple[RebalanceStatus, str, str]:
    """Return status, reason code and sentence of a result."""
    reason = result.rebalance.reason
    assert reason is not None
    return result.rebalance.status, reason.code, reason.message


POSTED: dict[str, Any] = {"is_posted": True}
WAITING: dict[str, Any] = {"wake_at": LATER}
SENT, OPEN, ENDED = OrderStatus.SENT, OrderStatus.OPEN, OrderStatus.ENDED


@pytest.mark.parametrize(
    ("execution", "now", "synced", "step"),
    [
        (journal(sell(SENT)), NOW, False, NextStep.SYNC_ORDERS),
        (journal(sell(SENT)), NOW, True, NextStep.WAIT),
        (journal(sell(SENT)), DEADLINE, False, NextStep.SYNC_ORDERS),
        (journal(sell(SENT)), DEADLINE, True, NextStep.GIVE_UP),
        (journal(sell(OPEN)), DEADLINE - MINUTE, True, NextStep.WAIT),
        (journal(sell(SENT, attempts=8)), NOW, True, NextStep.GIVE_UP),
        (journal(sell(), buy()), NOW, False, NextStep.SETTLE_WAVE),
        (journal(sell(**POSTED), buy()), NOW, False, NextStep.START_WAVE),
        (journal(sell(**POSTED), buy(), **WAITING), NOW, False, NextStep.WAIT),
        (journal(sell(**POSTED), buy(), **WAITING), LATER, False, NextStep.START_WAVE),
        (journal(sell(**POSTED), buy()), DEADLINE, False, NextStep.GIVE_UP),
        (journal(sell(**POSTED), buy(), is_cancelled=True), NOW, False, NextStep.SETTLE_WAVE),
        (journal(sell(**POSTED), buy(reverses="x"), is_cancelled=True), NOW, False, NextStep.START_WAVE),
        (journal(sell(**POSTED), buy(wave=FIRST_TOP_UP)), DEADLINE, False, NextStep.SETTLE_WAVE),
        (journal(sell(**POSTED)), NOW, False, NextStep.SETTLE_WAVE),
    ],
)
def test_the_next_step_follows_from_the_journal(execution: Execution, now: Any, synced: bool, step: NextStep) -> None:
    assert next_step(rebalance(execution), now, LIMITS, synced_at=now if synced else None) is step


def test_a_plan_is_cancelled_at_its_deadline_while_nothing_was_sent() -> None:
    planned = rebalance(journal(sell(OrderStatus.PLANNED), wave=0), STATUS.PLANNED)
    assert next_step(planned, NOW, LIMITS) is NextStep.START_WAVE
    assert next_step(planned, DEADLINE, LIMITS) is NextStep.CANCEL


def test_an_order_is_lost_after_the_attempts_and_given_up_when_no_other_is_open() -> None:
    lost, young, open_order = sell(SENT, attempts=8), sell(SENT, attempts=7), order("C", Side.SELL, OPEN)
    assert lost_orders(journal(lost), LIMITS) == (lost,)
    assert not lost_orders(journal(young), LIMITS)
    assert not lost_orders(journal(sell(OPEN, attempts=9)), LIMITS)
    assert must_give_up(journal(lost), LIMITS)
    assert not must_give_up(journal(young), LIMITS)
    assert not must_give_up(journal(lost, open_order), LIMITS)
    assert not must_give_up(journal(replace(lost, attempts=9), open_order), LIMITS)
    assert must_give_up(journal(replace(lost, attempts=10), open_order), LIMITS)


def test_open_orders_are_cancelled_by_a_person_after_their_time_or_when_one_is_lost() -> None:
    started, end = journal(sell(OPEN)), NOW + timedelta(seconds=LIMITS.order_seconds)
    assert not must_cancel_open_orders(started, end - timedelta(seconds=1), LIMITS)
    assert must_cancel_open_orders(started, end, LIMITS)
    assert must_cancel_open_orders(replace(started, is_cancelled=True), NOW, LIMITS)
    assert not must_cancel_open_orders(journal(sell(OPEN, reverses="x"), is_cancelled=True), NOW, LIMITS)
    assert must_cancel_open_orders(journal(sell(OPEN), deadline=LATER), LATER, LIMITS)
    assert must_cancel_open_orders(journal(sell(OPEN), order("C", Side.SELL, SENT, attempts=8)), NOW, LIMITS)
    assert not must_cancel_open_orders(replace(started, wave_started_at=None), end, LIMITS)


def test_filled_sells_lead_to_the_buys_and_filled_buys_to_the_end() -> None:
    after_sells = settled(sell(**POSTED), buy())
    assert after_sells.rebalance.status is STATUS.EXECUTING
    assert after_sells.rebalance.reason == DECIDED
    assert not after_sells.is_final
    done = settled(sell(**POSTED), buy(OrderStatus.FILLED, **POSTED), wave=BUYS, lease_until=5, waits_for="halted")
    assert outcome(done) == (STATUS.COMPLETED, "executed", "Every order was filled.")
    assert (done.is_final, done.rebalanced, done.is_failure) == (True, True, False)
    execution = journal_of(done.rebalance)
    assert (execution.lease_until, execution.wake_at, execution.waits_for) == (None, None, None)
    assert done.rebalance.reason is not None
    assert done.rebalance.reason.details == {"weights": {"A": "60"}, "decided": "out_of_band"}


def test_a_refused_order_is_compensated_and_a_partial_fill_by_policy() -> None:
    refused = settled(sell(**POSTED), buy(ENDED, reason="halted", **POSTED), wave=BUYS, **WAITING)
    assert outcome(refused) == (STATUS.COMPENSATING, "order_refused", "Refused: B (halted).")
    execution = journal_of(refused.rebalance)
    assert [(each.symbol, each.side, each.quantity) for each in next_reversals(execution)] == [("A", Side.BUY, D(10))]
    assert execution.wake_at is None
    part = buy(ENDED, filled=D(4), amount=D(8), **POSTED)
    partial = settled(sell(**POSTED), part, wave=BUYS)
    assert outcome(partial) == (STATUS.COMPENSATING, "partial_fill", "Partially filled: B (no reason given).")
    kept = settled(sell(**POSTED), part, wave=BUYS, on_partial=KEEP)
    assert outcome(kept) == (
        STATUS.COMPLETED_ADJUSTED,
        "adjusted",
        "Not every order was filled; `orders` shows the rest.",
    )
    unfilled_top_up = replace(buy(ENDED, **POSTED), symbol="C", client_order_id="t", wave=FIRST_TOP_UP)
    topped_up = settled(sell(**POSTED), buy(OrderStatus.FILLED, **POSTED), unfilled_top_up, wave=FIRST_TOP_UP)
    assert outcome(topped_up)[:2] == (STATUS.COMPLETED, "executed")


def test_what_is_left_over_after_complete_fills_is_invested_until_the_deadline() -> None:
    unpaid: dict[str, Any] = {"funds": Funds(D(50)), "skipped": (SkippedLeg("B", Side.BUY, D(10), NO_CASH),)}
    orders = (sell(**POSTED), buy(OrderStatus.FILLED, **POSTED))
    more = settled(*orders, wave=BUYS, **unpaid)
    assert more.rebalance.status is STATUS.EXECUTING
    top_up = journal_of(more.rebalance).orders[-1]
    assert (top_up.symbol, top_up.quantity, top_up.wave) == ("B", D(5), FIRST_TOP_UP)
    assert outcome(settled(*orders, wave=BUYS, deadline=LATER, **unpaid))[0] is STATUS.COMPLETED
    part = buy(ENDED, filled=D(4), amount=D(8), **POSTED)
    assert outcome(settled(sell(**POSTED), part, wave=BUYS, on_partial=KEEP, **unpaid))[0] is STATUS.COMPLETED_ADJUSTED


def test_a_cancellation_keeps_or_reverses_the_fills_by_policy() -> None:
    kept = settled(sell(**POSTED), buy(), is_cancelled=True, on_cancel=KEEP)
    assert outcome(kept) == (STATUS.COMPLETED_ADJUSTED, "cancelled", "Cancelled; the fills are kept.")
    assert [each.status for each in journal_of(kept.rebalance).orders] == [OrderStatus.FILLED, OrderStatus.SKIPPED]
    reversed_ = settled(sell(**POSTED), buy(), is_cancelled=True)
    assert outcome(reversed_) == (STATUS.COMPENSATING, "cancelled", "Cancelled; the fills are reversed.")
    too_late = settled(sell(**POSTED), buy(OrderStatus.FILLED, **POSTED), wave=BUYS, is_cancelled=True)
    assert outcome(too_late)[:2] == (STATUS.COMPLETED, "executed")


def test_reversals_end_rolled_back_are_tried_again_and_end_stale() -> None:
    back = order("A", Side.BUY, OrderStatus.FILLED, wave=BUYS + 1, reverses="x", client_order_id="c1", **POSTED)
    done = settled(sell(**POSTED), back, wave=BUYS + 1, status=STATUS.COMPENSATING)
    assert (done.rebalance.status, done.rebalance.reason, done.rebalanced) == (STATUS.ROLLED_BACK, DECIDED, False)
    assert (done.is_failure, done.incidents) == (True, {HaltControl.ROLLBACKS: ("r",), HaltControl.REFUSALS: ()})
    refused = replace(back, status=ENDED, filled=D(0), amount=D(0), refusal=RefusalKind.TEMPORARY)
    again = settled(sell(**POSTED), refused, wave=BUYS + 1, status=STATUS.COMPENSATING)
    assert again.rebalance.status is STATUS.COMPENSATING
    assert journal_of(again.rebalance).wake_at == LATER + timedelta(seconds=LIMITS.reversal_seconds)
    assert journal_of(again.rebalance).orders[-1].client_order_id == client_order_id_of("r", "A", BUYS + 2)
    assert (again.is_final, again.incidents) == (False, {HaltControl.ROLLBACKS: (), HaltControl.REFUSALS: ()})
    last = replace(refused, wave=BUYS + MAX_REVERSALS)
    stale = settled(sell(**POSTED), last, wave=BUYS + MAX_REVERSALS, status=STATUS.COMPENSATING)
    assert outcome(stale) == (STATUS.STALE, "stale", f"A could not be reversed in {MAX_REVERSALS} tries.")
    assert stale.stale_reason == f"A could not be reversed in {MAX_REVERSALS} tries"
    assert stale.incidents == {HaltControl.ROLLBACKS: (), HaltControl.REFUSALS: ("r",)}


def test_what_was_not_bought_back_is_told() -> None:
    back = order("A", Side.BUY, OrderStatus.FILLED, wave=3, reverses="x", client_order_id="c1", filled=D(9), **POSTED)
    done = settled(sell(**POSTED), back, wave=3, status=STATUS.COMPENSATING, unrestored={"A": D(1)})
    told = "A is out of band. Not bought back, because the cash did not pay for it: 1 A."
    assert outcome(done) == (STATUS.ROLLED_BACK, "out_of_band", told)
    assert done.rebalance.reason is not None
    assert done.rebalance.reason.details == {"weights": {"A": "60"}, "not_bought_back": {"A": "1"}}


def test_an_execution_that_is_given_up_names_its_unfinished_orders() -> None:
    orders = (sell(SENT), order("C", Side.SELL, OPEN, filled=D(3)), order("E", Side.SELL, OrderStatus.FILLED))
    stale = give_up(rebalance(journal(*orders)), NOW)
    reason = (
        "the broker does not confirm or deny the orders for A; still open at the broker, and not posted: "
        "C (3 of 10 filled)"
    )
    assert (stale.rebalance.status, stale.stale_reason) == (STATUS.STALE, reason)
    assert outcome(stale)[2] == f"The{reason[3:]}."
    assert [each.is_posted for each in journal_of(stale.rebalance).orders] == [False, False, True]
    several = give_up(rebalance(journal(sell(SENT), order("D", Side.SELL, SENT))), NOW)
    assert several.stale_reason == "the broker does not confirm or deny the orders for A, D"
    late = give_up(rebalance(journal(sell(OrderStatus.FILLED))), DEADLINE)
    assert late.stale_reason == "the deadline passed before the rebalance had ended"


def test_cash_below_zero_at_the_end_is_stale_unless_the_execution_raised_cash() -> None:
    done = settled(sell(amount=D(1), **POSTED), buy(OrderStatus.FILLED, **POSTED), wave=BUYS)
    before = rebalance(journal())
    stale = mark_stale_if_overdrawn(done, before, D(-1), LATER)
    assert stale.stale_reason == "after posting the fills and their fees, cash is -1"
    assert stale.rebalance.status is STATUS.STALE
    for cash in (None, D(0), D(1)):
        assert mark_stale_if_overdrawn(done, before, cash, LATER) is done
    under_way, raised = settled(sell(**POSTED), buy()), settled(sell(**POSTED))
    assert mark_stale_if_overdrawn(under_way, before, D(-1), LATER) is under_way
    assert mark_stale_if_overdrawn(raised, before, D(-1), LATER) is raised
    assert mark_stale_if_overdrawn(stale, before, D(-2), LATER) is stale


def test_symbols_that_the_broker_refused_for_good_are_in_quarantine() -> None:
    permanent: dict[str, Any] = {"refusal": RefusalKind.PERMANENT}
    orders = (sell(ENDED, **permanent), buy(ENDED, reason="unknown symbol", **permanent))
    temporary = order("C", Side.BUY, ENDED, refusal=RefusalKind.TEMPORARY)
    both = replace(buy(ENDED, **permanent), symbol="A", client_order_id="x")
    until = NOW + timedelta(seconds=DEFAULT_LIMITS.quarantine_seconds)
    assert quarantine_of_refusals(rebalance(journal(temporary, *orders)), NOW, DEFAULT_LIMITS) == {
        "A": Quarantine(Restriction.NO_SELL, "no reason given", "r", NOW, until),
        "B": Quarantine(Restriction.NO_BUY, "unknown symbol", "r", NOW, until),
    }
    joined = quarantine_of_refusals(rebalance(journal(*orders, both)), NOW, DEFAULT_LIMITS)
    assert joined["A"].restriction is Restriction.FROZEN


def test_a_wave_is_started_with_the_intent_to_send_and_not_after_a_cancellation() -> None:
    planned = rebalance(journal(sell(OrderStatus.PLANNED), buy(), wave=0), STATUS.PLANNED)
    started = start_wave(planned, LATER, {})
    assert started.status is STATUS.EXECUTING
    assert (journal_of(started).wave, journal_of(started).wave_started_at) == (SELLS, LATER)
    assert [(each.status, each.attempts) for each in journal_of(started).orders] == [
        (SENT, 1),
        (OrderStatus.PLANNED, 0),
    ]
    cancelled = rebalance(replace(journal_of(planned), is_cancelled=True), STATUS.PLANNED)
    assert start_wave(cancelled, LATER, {}) is cancelled
    over = rebalance(journal(sell(**POSTED)))
    assert start_wave(over, LATER, {}) is over
    back = order("A", Side.BUY, OrderStatus.PLANNED, wave=3, reverses="x")
    reversing = start_wave(rebalance(journal(sell(**POSTED), back), STATUS.COMPENSATING), LATER, {"A": D(4)})
    assert reversing.status is STATUS.COMPENSATING
    assert (journal_of(reversing).orders[1].quantity, journal_of(reversing).unrestored) == (D(6), {"A": D(4)})


def test_a_rebalance_of_which_nothing_was_sent_is_cancelled_with_its_orders_skipped() -> None:
    planned = rebalance(journal(sell(OrderStatus.PLANNED), wave=0, lease_until=5), STATUS.PLANNED)
    cancelled = cancel_unsent(planned, LATER, "Cancelled by ops.")
    assert (cancelled.status, cancelled.reason and cancelled.reason.code) == (STATUS.CANCELLED, "cancelled")
    assert cancelled.reason is not None
    assert cancelled.reason.message == "Cancelled by ops."
    execution = journal_of(cancelled)
    assert (execution.lease_until, execution.orders[0].status, execution.orders[0].is_posted) == (
        None,
        OrderStatus.SKIPPED,
        True,
    )
    assert cancel_unsent(planned, LATER, "x", "halted").reason != cancelled.reason


def test_fills_may_be_posted_in_parts() -> None:
    orders = (sell(), order("C", Side.SELL, OrderStatus.FILLED))
    posted = post_first_fills(rebalance(journal(*orders)), 1, LATER)
    assert posted.rebalance.status is STATUS.EXECUTING
    assert posted.rebalance.updated_at == LATER
    assert [each.is_posted for each in journal_of(posted.rebalance).orders] == [True, False]


def locked(**changes: Any) -> Any:
    """Return the portfolio that the rebalance has locked."""
    return portfolio(version=3, lock=Lock("r", "x"), watch_state=WatchState(watched_symbols=("A",)), **changes)


def test_the_portfolio_stays_locked_until_the_end_of_the_execution() -> None:
    after = settled(sell(**POSTED), buy()).apply_to(locked(), LATER, DEFAULT_LIMITS)
    assert (after.lock, after.version, after.updated_at, after.events) == (Lock("r", "x"), 4, LATER, ())


def test_each_end_of_an_execution_releases_the_portfolio_in_its_way() -> None:
    done = settled(sell(**POSTED), buy(OrderStatus.FILLED, **POSTED), wave=BUYS)
    released = done.apply_to(locked(), LATER, DEFAULT_LIMITS)
    assert (released.lock, released.rebalanced_at) == (None, LATER)
    assert released.watch_state.evaluation_due is EvaluationCause.HOLDINGS
    assert done.records(locked(), LATER, DEFAULT_LIMITS) == (done.rebalance, released)
    back = order("A", Side.BUY, OrderStatus.FILLED, wave=3, reverses="x", client_order_id="c1", **POSTED)
    rolled_back = settled(sell(**POSTED), back, wave=3, status=STATUS.COMPENSATING)
    failed = rolled_back.apply_to(locked(), LATER, DEFAULT_LIMITS)
    assert (failed.lock, failed.brake.failures, failed.brake.failed_rebalance_id) == (None, 1, "r")
    assert failed.events[0].data["reason_code"] == "out_of_band"
    invests = locked(policy=Policy(on_deposit=OnDeposit.INVEST))
    assert not rolled_back.apply_to(invests, LATER, DEFAULT_LIMITS).watch_state.is_deposit_due
    by_deposit = WaveResult(replace(rolled_back.rebalance, trigger=Trigger.DEPOSIT))
    assert by_deposit.apply_to(invests, LATER, DEFAULT_LIMITS).watch_state.is_deposit_due
    reason = Reason("cancelled", "x")
    by_person = WaveResult(replace(rolled_back.rebalance, reason=reason))
    paused = by_person.apply_to(locked(), LATER, DEFAULT_LIMITS)
    assert (by_person.is_failure, paused.brake.failures, paused.brake.blocked_until is None) == (False, 0, False)
    stale = give_up(rebalance(journal(sell(SENT))), NOW).apply_to(locked(), LATER, DEFAULT_LIMITS)
    assert (stale.status, stale.lock) == (PortfolioStatus.STALE, Lock("r", "x"))


def test_a_refused_symbol_is_isolated_at_the_end_and_a_deposit_is_invested_later() -> None:
    refused = buy(ENDED, refusal=RefusalKind.PERMANENT, filled=D(4), amount=D(8), **POSTED)
    adjusted = settled(sell(**POSTED), refused, wave=BUYS, on_partial=KEEP)
    assert list(adjusted.apply_to(locked(), LATER, DEFAULT_LIMITS).brake.quarantine) == ["B"]
    untraded = settled(sell(ENDED, **POSTED), on_partial=KEEP, is_cancelled=True, on_cancel=KEEP)
    assert (untraded.rebalanced, untraded.rebalance.trigger) == (False, Trigger.REPORT)
    due = untraded.apply_to(locked(), LATER, DEFAULT_LIMITS).watch_state.evaluation_due
    assert due is EvaluationCause.REFUSED
