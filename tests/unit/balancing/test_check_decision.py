"""The decision of a check, from quotes, calendar rule, cooldown and earlier checks."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from tests.unit.samples import percents, portfolio
from trimtab.contracts.assets import AssetRecord
from trimtab.contracts.quotes import Quote, Split
from trimtab.portfolios.balancing.check_decision import HALT_RETRY, CheckResult, decide, evaluate
from trimtab.portfolios.balancing.decision_inputs import DecisionInputs
from trimtab.portfolios.balancing.rebalance_start import begin_rebalance
from trimtab.portfolios.balancing.withdrawal_decision import decide_withdrawal
from trimtab.portfolios.execution.broker import BrokerTerms
from trimtab.portfolios.portfolio.holdings import Holding, SecurityType, Side
from trimtab.portfolios.portfolio.model import Portfolio
from trimtab.portfolios.portfolio.policy import (
    Band,
    BandType,
    CalendarRule,
    Destination,
    Frequency,
    Mode,
    OnDeposit,
    Policy,
)
from trimtab.portfolios.portfolio.watch_state import FollowUp, Trigger, WatchState

DUE = datetime(2026, 12, 1, 15, 30, tzinfo=UTC)
NOW = DUE + timedelta(minutes=1)


MONTHLY = CalendarRule(Frequency.MONTHLY, 1)


def holding_of(symbol: str, quantity: Any) -> Holding:
    """Return a holding of a stock."""
    return Holding(symbol, SecurityType.STOCK, Decimal(str(quantity)))


def invested(quantities: dict[str, Any], policy: Policy | None = None, **changes: Any) -> Portfolio:
    """Return a portfolio whose target is half A and half B."""
    held = {symbol: holding_of(symbol, quantity) for symbol, quantity in quantities.items()}
    members = {"allocation": percents(A=50, B=50), "cash": Decimal(0), "policy": policy or Policy(), "holdings": held}
    return portfolio(**{**members, **changes})


def inputs_at(
    portfolio: Portfolio, trigger: Trigger | None, quotes: list[Quote] | None = None, **changes: Any
) -> DecisionInputs:
    """Return the inputs of a check; without quotes every price is 1."""
    known = quotes or [Quote(symbol, Decimal(1), NOW - timedelta(minutes=1)) for symbol in portfolio.allocation]
    situation = DecisionInputs(
        portfolio=portfolio,
        quantities={symbol: holding.quantity for symbol, holding in portfolio.holdings.items()},
        quotes={quote.symbol: quote for quote in known},
        now=NOW,
        trigger=trigger,
        mode=Mode.FULL,
    )
    return replace(situation, **changes)


def at(portfolio: Portfolio, trigger: Trigger | None, quotes: list[Quote] | None = None, **changes: Any) -> CheckResult:
    """Return the result of a check; without quotes every price is 1."""
    return evaluate(inputs_at(portfolio, trigger, quotes, **changes))


@pytest.mark.parametrize(
    ("quoted", "rule"),
    [
        (timedelta(hours=-3, minutes=-29), "no_quote"),
        (timedelta(0), "within_band"),  # of the split's own instant
        (timedelta(hours=9), "within_band"),
    ],
)
def test_a_quote_from_before_a_split_counts_as_no_quote(quoted: timedelta, rule: str) -> None:
    midnight = datetime(2026, 12, 1, tzinfo=UTC)
    price = Decimal(400) if quoted < timedelta(0) else Decimal(100)
    quotes = [
        Quote("A", price, midnight + quoted, splits=(Split(midnight, Decimal(4), Decimal(1)),)),
        Quote("B", Decimal(100), NOW),
    ]
    found = at(invested({"A": 40, "B": 40}), Trigger.PRICE, quotes)
    assert (found.reason.code, found.plan) == (rule, None)
    if rule == "no_quote":
        assert found.reason.details["missing"] == ["A"]
        assert found.bounds["A"].upper == 0, "any newer quote requests a check"


def test_a_future_split_does_not_affect_the_quote() -> None:
    tomorrow = Split(NOW + timedelta(seconds=1), Decimal(4), Decimal(1))
    quotes = [Quote(symbol, Decimal(100), NOW, splits=(tomorrow,)) for symbol in "AB"]
    assert at(invested({"A": 40, "B": 40}), Trigger.PRICE, quotes).reason.code == "within_band"


def test_a_change_before_the_message_of_a_calendar_day_leaves_the_day_undecided() -> None:
    held = invested({"A": 54, "B": 46}, Policy(calendar=MONTHLY), watch_state=WatchState(calendar_at=DUE))
    changed, due = at(held, None), at(held, Trigger.SCHEDULE)
    assert (changed.reason.code, changed.plan, changed.calendar_at) == ("within_band", None, DUE)
    assert (due.reason.code, due.plan is None, due.calendar_at) == (
        "calendar",
        False,
        datetime(2026, 12, 31, 15, 30, tzinfo=UTC),
    )


@pytest.mark.parametrize("day", [DUE, NOW + timedelta(days=5)])
def test_a_rebalance_due_in_a_cooldown_waits_for_its_end(day: datetime) -> None:
    policy = Policy(calendar=MONTHLY, cooldown_seconds=30 * 86_400)
    held = invested(
        {"A": 60, "B": 40}, policy, watch_state=WatchState(calendar_at=day), rebalanced_at=NOW - timedelta(days=10)
    )
    found, end = at(held, Trigger.SCHEDULE), NOW + timedelta(days=20)
    assert (found.reason.code, found.calendar_at, found.retry_at) == ("cooldown", day, end)
    follow_up = FollowUp(found.calendar_at, found.deferred_trigger, found.retry_at)
    done = held.finish_evaluation(NOW, held.watch_state.finish(NOW, "AB", follow_up))
    assert done.watch_state.next_at == end
    decided = at(done, Trigger.SCHEDULE, [Quote(symbol, Decimal(1), end) for symbol in "AB"], now=end)
    assert (decided.reason.code, decided.plan is None) == ("outside_band", False)
    assert decided.calendar_at is not None
    assert decided.calendar_at > end


def test_the_reason_of_a_planned_rebalance_has_the_cooldown() -> None:
    drifted = {"A": 60, "B": 40}
    first = at(invested(drifted), Trigger.PRICE)
    assert first.plan is not None
    assert first.reason.details["cooldown"] == {"seconds": 0}
    held = invested(drifted, Policy(cooldown_seconds=60), rebalanced_at=DUE)
    again = at(held, Trigger.PRICE)
    assert again.plan is not None
    assert again.reason.details["cooldown"] == {"seconds": 60, "until": "2026-12-01T15:31:00.000000Z"}


# Deposits -------------------------------------------------------------------------------------------------------------

INVESTING = Policy(on_deposit=OnDeposit.INVEST)
DUE_DEPOSIT = WatchState(is_deposit_due=True)


def decided(portfolio: Portfolio, trigger: Trigger | None = None, **changes: Any) -> tuple[DecisionInputs, CheckResult]:
    """Return the decision of a check with deposits, and its inputs; every price is 1."""
    return decide(inputs_at(portfolio, trigger, **changes))


def test_a_deposit_is_invested_within_the_band_where_the_policy_says_so() -> None:
    held = invested({"A": 50, "B": 50}, INVESTING, cash=Decimal(4), watch_state=DUE_DEPOSIT)
    inputs, found = decided(held)
    assert found.plan is not None
    assert {order.side for order in found.plan.orders} == {Side.BUY}
    assert (found.reason.code, inputs.trigger, inputs.mode) == ("deposit", Trigger.DEPOSIT, Mode.INVEST_CASH)
    for holding_on in (Policy(), replace(INVESTING, mode=Mode.SELL_ONLY)):
        assert decided(replace(held, policy=holding_on))[1].plan is None
    assert decided(replace(held, watch_state=WatchState()))[1].plan is None


def test_a_trigger_in_its_cooldown_stays_deferred_while_a_deposit_is_invested() -> None:
    held = invested(
        {"A": 70, "B": 30},
        replace(INVESTING, cooldown_seconds=86_400),
        cash=Decimal(10),
        watch_state=DUE_DEPOSIT,
        rebalanced_at=NOW,
    )
    inputs, found = decided(held, Trigger.PRICE)
    assert found.plan is not None
    assert (found.deferred_trigger, found.retry_at) == (Trigger.PRICE, NOW + timedelta(days=1))
    _, locked = begin_rebalance(inputs, found, None, run_seconds=60)
    assert (locked.watch_state.deferred_trigger, locked.watch_state.retry_at) == (Trigger.PRICE, found.retry_at)
    assert not locked.watch_state.is_deposit_due


def test_a_deposit_stays_due_while_orders_are_halted_and_ends_where_nothing_can_be_bought() -> None:
    held = invested({"A": 50, "B": 50}, INVESTING, cash=Decimal(4), watch_state=DUE_DEPOSIT)
    _, halted = decided(held, halt_reason="The feed looks wrong.")
    assert (halted.reason.code, halted.is_deposit_due, halted.retry_at) == ("halted", True, NOW + HALT_RETRY)
    _, too_small = decided(replace(held, cash=Decimal("0.5")))
    assert (too_small.reason.code, too_small.is_deposit_due, too_small.plan) == ("within_band", False, None)


@pytest.mark.parametrize(
    ("destination", "mode", "is_due"),
    [
        (Destination.TARGET, Mode.FULL, False),
        (Destination.BAND_EDGE, Mode.FULL, True),
        (Destination.TARGET, Mode.SELL_ONLY, True),
    ],
)
def test_a_deposit_stays_due_beside_a_rebalance_that_does_not_invest_it(
    destination: Destination, mode: Mode, is_due: bool
) -> None:
    policy = replace(INVESTING, destination=destination)
    held = invested({"A": 70, "B": 30}, policy, cash=Decimal(4), watch_state=DUE_DEPOSIT)
    inputs, found = decided(held, Trigger.PRICE, mode=mode)
    _, locked = begin_rebalance(inputs, found, None, run_seconds=60)
    assert locked.watch_state.is_deposit_due is is_due


# Sessions -------------------------------------------------------------------------------------------------------------

NIGHT = datetime(2026, 12, 1, 3, tzinfo=UTC)
OPENING = datetime(2026, 12, 1, 14, 30, tzinfo=UTC)
BY_SESSION = BrokerTerms(trades_by_session=True)


def asset_of(symbol: str, **changes: Any) -> AssetRecord:
    """Return an active share of the New York Stock Exchange in dollars."""
    return replace(AssetRecord(symbol, symbol, "stock", None, "USD", "XNYS", active=True), **changes)


@pytest.mark.parametrize("trigger", [Trigger.PRICE, Trigger.TARGET, Trigger.SCHEDULE, Trigger.MANUAL])
def test_orders_out_of_session_wait_for_the_open_with_their_trigger(trigger: Trigger) -> None:
    held, quotes = invested({"A": 60, "B": 40}), [Quote(symbol, Decimal(1), NIGHT) for symbol in "AB"]
    night = {"now": NIGHT, "terms": BY_SESSION, "assets": {symbol: asset_of(symbol) for symbol in "AB"}}
    found = at(held, trigger, quotes, **night)
    assert (found.reason.code, found.plan, found.deferred_trigger) == ("market_closed", None, trigger)
    assert found.retry_at == OPENING
    assert found.reason.details["until"] == "2026-12-01T14:30:00.000000Z"
    assert found.reason.details["closed"] == ["A", "B"]
    at_open, until = night | {"now": OPENING}, OPENING + timedelta(minutes=5)
    early = at(held, trigger, quotes, **at_open)
    assert (early.reason.code, early.deferred_trigger, early.retry_at) == ("no_quote", trigger, until)
    assert all(around.are_crossed_by(Decimal(1)) for around in early.bounds.values()), "any quote decides"
    first = [Quote(symbol, Decimal(1), OPENING) for symbol in "AB"]
    assert at(held, trigger, first, **at_open).plan is not None
    late = at(held, trigger, quotes, **night | {"now": until})
    assert (late.reason.code, late.plan, late.retry_at) == ("no_quote", None, None)


def test_a_withdrawal_at_the_open_waits_for_the_first_quotes_unless_cash_pays_for_it() -> None:
    held = invested({"A": 60, "B": 40}, cash=Decimal(5))
    terms = {"terms": BY_SESSION, "assets": {symbol: asset_of(symbol) for symbol in "AB"}}
    for quoted_at, code in ((NIGHT, "no_quote"), (OPENING, "withdrawal")):
        quotes = [Quote(symbol, Decimal(1), quoted_at) for symbol in "AB"]
        inputs = inputs_at(held, Trigger.WITHDRAWAL, quotes, **terms, now=OPENING)
        assert decide_withdrawal(inputs, Decimal(50)).reason.code == code
        assert decide_withdrawal(inputs, Decimal(5)).reason.code == "withdrawal"


def test_an_exchange_that_never_closes_and_a_broker_without_sessions_trade_at_night() -> None:
    held, quotes = invested({"A": 60, "B": 40}), [Quote(symbol, Decimal(1), NIGHT) for symbol in "AB"]
    shares = {symbol: asset_of(symbol) for symbol in "AB"}
    coins = {symbol: asset_of(symbol, exchange="CRYPTO") for symbol in "AB"}
    assert at(held, Trigger.PRICE, quotes, now=NIGHT, assets=shares).plan is not None
    for never_closed in (coins, {}):
        assert at(held, Trigger.PRICE, quotes, now=NIGHT, terms=BY_SESSION, assets=never_closed).plan is not None
    mixed = at(held, Trigger.PRICE, quotes, now=NIGHT, terms=BY_SESSION, assets=shares | {"A": coins["A"]})
    assert (mixed.reason.code, mixed.reason.details["closed"]) == ("market_closed", ["B"])


def test_a_portfolio_within_its_band_says_so_at_night_too() -> None:
    held, quotes = invested({"A": 50, "B": 50}), [Quote(symbol, Decimal(1), NIGHT) for symbol in "AB"]
    night = {"now": NIGHT, "terms": BY_SESSION, "assets": {symbol: asset_of(symbol) for symbol in "AB"}}
    assert at(held, Trigger.PRICE, quotes, **night).reason.code == "within_band"


# A trigger is what an order can cure ---------------------------------------------------------------------------------

RELATIVE = Policy(band=Band(BandType.RELATIVE, Decimal(20)))


@pytest.mark.parametrize("price", ["0.95", "0.98", "1", "1.02", "1.05", "1.1"])
def test_dust_below_the_minimum_trade_does_not_trade_everything_else(price: str) -> None:
    held = invested({"A": 5000, "B": 5000, "DUST": "0.5"}, RELATIVE)
    quotes = [Quote("A", Decimal(price), NOW), *_at_one("B", "DUST")]
    found = at(held, Trigger.PRICE, quotes)
    assert (found.reason.code, found.plan) == ("nothing_to_trade", None)
    assert ["DUST", "SELL", "0.5", "minimum_trade"] in found.reason.details["skipped"]


def test_a_leg_outside_its_band_beside_dust_is_traded() -> None:
    held = invested({"A": 7000, "B": 3000, "DUST": "0.5"}, RELATIVE)
    found = at(held, Trigger.PRICE, _at_one("A", "B", "DUST"))
    assert found.reason.code == "outside_band"
    assert found.plan is not None
    assert {order.symbol for order in found.plan.orders} == {"A", "B"}


def test_dust_that_grows_to_the_minimum_trade_is_sold() -> None:
    held = invested({"A": 5000, "B": 5000, "DUST": "0.5"}, RELATIVE)
    quotes = [*_at_one("A", "B"), Quote("DUST", Decimal(3), NOW)]
    found = at(held, Trigger.PRICE, quotes)
    assert found.plan is not None
    assert found.plan.orders[0].symbol == "DUST"


def test_a_shortage_that_only_a_buy_could_cure_triggers_no_sell() -> None:
    target = percents(A=45, B=45, C=10)
    held = invested({"A": 4750, "B": 4750, "C": 500}, replace(RELATIVE, mode=Mode.SELL_ONLY), allocation=target)
    quotes = _at_one("A", "B", "C")
    found = at(held, Trigger.PRICE, quotes, mode=Mode.SELL_ONLY)
    assert (found.reason.code, found.plan) == ("nothing_to_trade", None)


def test_beside_dust_a_leg_near_its_edge_is_watched_up_to_the_edge() -> None:
    held = invested({"A": 5990, "B": 4010, "DUST": "0.5"}, RELATIVE)
    found = at(held, Trigger.PRICE, _at_one("A", "B", "DUST"))
    assert found.reason.code == "nothing_to_trade"
    assert Decimal(1) < found.bounds["A"].upper < Decimal("1.0025")
    calm = at(invested({"A": 5000, "B": 5000, "DUST": "0.5"}, RELATIVE), Trigger.PRICE, _at_one("A", "B", "DUST"))
    assert Decimal("1.1999") < calm.bounds["A"].upper < Decimal("1.2"), "the edge of the band of 40 to 60 %"


def _at_one(*symbols: str) -> list[Quote]:
    return [Quote(symbol, Decimal(1), NOW) for symbol in symbols]
