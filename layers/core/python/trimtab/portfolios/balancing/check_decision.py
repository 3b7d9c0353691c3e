"""A check: whether a portfolio calls for a rebalance at the quotes of now, and what is watched until the next one.

Pure: the same portfolio, quotes and time always give the same answer.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from msgspec import Struct, field

from trimtab.contracts.quotes import Quote
from trimtab.kernel import ids
from trimtab.kernel.clock import format_time
from trimtab.kernel.money import CONTEXT, HUNDRED, ZERO, plain
from trimtab.portfolios.balancing import calendar
from trimtab.portfolios.balancing import order_planner as planning
from trimtab.portfolios.balancing.order_planner import OrderPlan
from trimtab.portfolios.balancing.price_bounds import Edges, edges, radius
from trimtab.portfolios.portfolio.holdings import Side
from trimtab.portfolios.portfolio.model import Portfolio, PortfolioStatus
from trimtab.portfolios.portfolio.policy import Automation, Mode
from trimtab.portfolios.portfolio.watch_state import Trigger
from trimtab.portfolios.rebalancing import drift as plan
from trimtab.portfolios.rebalancing import journal as execution
from trimtab.portfolios.rebalancing.drift import CASH
from trimtab.portfolios.rebalancing.model import Rebalance, RebalanceStatus, Why, rebalance_id_of
from trimtab.portfolios.rebalancing.valuation import Valuation, value

REARM = Decimal("0.01")
"""After a check that was refused, a price has to move this far before the next one."""
LATER = timedelta(hours=1)
"""A day of the calendar on which nothing could be decided is tried again after this."""
HALTED = timedelta(minutes=5)
"""What was refused because orders are halted is tried again after this."""


class Checked(Struct, frozen=True):
    """What a check found. `plan` is what to execute, None where nothing is; `edges` are what to watch by symbol.

    `kept` is the trigger that was refused for a while, and `again_at` is the end of it. `is_waiting` where a change
    took the portfolio out of its band, and a quote has to decide.
    """

    why: Why
    edges: Mapping[str, Edges] = field(default_factory=dict)
    plan: OrderPlan | None = None
    valuation: Valuation | None = None
    calendar_at: datetime | None = None
    kept: Trigger | None = None
    again_at: datetime | None = None
    is_waiting: bool = False


class Situation(Struct, frozen=True):
    """What a check looks at: quantities are those of now (splits are in them); `trigger` is None where only the
    watches have to be written again; `halted` is why no orders may be sent."""

    portfolio: Portfolio
    quantities: Mapping[str, Decimal]
    quotes: Mapping[str, Quote]
    now: datetime
    trigger: Trigger | None
    mode: Mode
    halted: str | None = None
    was_refused: bool = False

    def prices(self) -> dict[str, Decimal]:
        """The prices that count: of quotes that are there, not too old, and of units as they are counted now."""
        oldest = self.now - timedelta(seconds=self.portfolio.policy.max_quote_age_seconds)
        return {
            symbol: quote.price
            for symbol, quote in self.quotes.items()
            if quote.price is not None
            and quote.as_of is not None
            and quote.as_of >= oldest
            and not any(quote.as_of < split.effective_at <= self.now for split in quote.splits)
        }

    def calendar_at(self) -> datetime | None:
        """The next day of the calendar rule, which may be past and not yet decided."""
        rule, known = self.portfolio.policy.calendar, self.portfolio.watching.calendar_at
        if rule is None or self.portfolio.policy.automation is Automation.MANUAL:
            return None
        return known or calendar.next_due(rule, self.now)

    def is_calendar_due(self) -> bool:
        """Whether the day of the calendar rule has come."""
        at = self.calendar_at()
        return at is not None and at <= self.now

    def next_calendar_at(self) -> datetime | None:
        """The day after the one that has been decided now; without a trigger none has."""
        rule, at = self.portfolio.policy.calendar, self.calendar_at()
        decided = self.trigger is not None and self.is_calendar_due()
        return calendar.next_due(rule, self.now) if rule and decided else at


def symbols_of(portfolio: Portfolio) -> list[str]:
    """What is held or targeted: each of it needs a quote."""
    held = (symbol for symbol, holding in portfolio.holdings.items() if holding.quantity)
    return sorted({*held, *portfolio.allocation})


def refused(portfolio: Portfolio) -> Why | None:
    """Why the portfolio is not rebalanced at all, None if it may be."""
    rules = (
        (portfolio.status is PortfolioStatus.CLOSED, "closed", "The portfolio is closed; create it again to open it."),
        (portfolio.status is PortfolioStatus.STALE, "stale", "The portfolio is stale until an operator resolves it."),
        (not portfolio.allocation, "no_target", "The portfolio has no target allocation; set one first."),
    )
    return next((Why(rule, detail) for holds, rule, detail in rules if holds), None)


def check(at: Situation) -> Checked:
    """What the quotes call for."""
    portfolio, symbols, prices = at.portfolio, symbols_of(at.portfolio), at.prices()
    missing = [symbol for symbol in symbols if symbol not in prices]
    if missing:
        detail = f"No quote, or one that is too old or of before a split: {', '.join(missing[:10])}."
        why = Why("no_quote", detail, {"missing": missing[:90]})
        return _postponed(at, why, {symbol: edges(prices.get(symbol), REARM) for symbol in symbols})
    found = value(
        {symbol: at.quantities.get(symbol, ZERO) for symbol in symbols},
        {symbol: prices[symbol] for symbol in symbols},
        portfolio.cash or ZERO,
    )
    if not found.total:
        return Checked(Why("empty", "The portfolio is worth nothing."), {it: edges(prices[it], ZERO) for it in symbols})
    return _weighed(at, found, prices)


def _weighed(at: Situation, found: Valuation, prices: Mapping[str, Decimal]) -> Checked:
    """The check of a portfolio that could be valued."""
    portfolio, policy = at.portfolio, at.portfolio.policy
    legs = plan.legs(found.weights, plan.targets(portfolio.allocation, policy))
    r = radius(legs, plan.tolerance_of(policy), policy.total_drift)
    rule, detail = _trigger_rule(at, legs)
    facts = _facts(portfolio, found, legs, at.trigger)

    def watch(least: Decimal) -> dict[str, Edges]:
        return {symbol: edges(prices[symbol], max(r, least)) for symbol in found.prices}

    if rule is None:
        why = Why("within_band", "Every weight is within its band.", facts)
        return Checked(why, watch(ZERO), valuation=found, calendar_at=at.next_calendar_at())
    if at.trigger is None:
        watched, is_waiting = watch(REARM if at.was_refused else ZERO), not at.was_refused
        return Checked(_waits(at, facts), watched, calendar_at=at.calendar_at(), is_waiting=is_waiting)
    refused_until = _refused_until(at, facts)
    if refused_until is not None:
        why, again_at = refused_until
        return Checked(why, watch(REARM), calendar_at=at.calendar_at(), kept=at.trigger, again_at=again_at)
    orders = planning.plan_orders(found, portfolio.allocation, policy, at.mode)
    facts |= _plan_facts(orders)
    if not orders.orders:
        why = Why("nothing_to_trade", "No order that the policy allows would lead closer to the target.", facts)
        return Checked(why, watch(REARM), valuation=found, calendar_at=at.next_calendar_at())
    return Checked(Why(rule, detail, facts), {}, orders, found, at.next_calendar_at())


def _waits(at: Situation, facts: Mapping[str, Any]) -> Why:
    """Why a portfolio that is out of its band is left so until a price moves."""
    detail = "Outside its band by a trade, not by a price: the next quote decides."
    if at.was_refused:
        detail = "The rebalance came to nothing: a price that moves by 1 % decides whether it is tried again."
    return Why("waits_for_a_quote", detail, facts)


def _refused_until(at: Situation, facts: Mapping[str, Any]) -> tuple[Why, datetime] | None:
    """Why nothing may be traded just now, and when that is looked at again; None where it may."""
    if at.halted is not None:
        return Why("halted", f"Orders are halted: {at.halted}.", facts), at.now + HALTED
    end = at.portfolio.cools_down_until()
    if at.trigger in {Trigger.CROSSED, Trigger.DUE} and end is not None and at.now < end:
        facts = {**facts, "until": format_time(end)}
        return Why("cooldown", "The last rebalance was too short a time ago.", facts), end
    return None


def _postponed(at: Situation, why: Why, watched: Mapping[str, Edges]) -> Checked:
    again = at.now + LATER if at.is_calendar_due() else at.calendar_at()
    return Checked(why, watched, calendar_at=again)


def _trigger_rule(at: Situation, legs: tuple[plan.Leg, ...]) -> tuple[str | None, str]:
    """The rule that calls for a rebalance, None where none does."""
    policy, drift = at.portfolio.policy, plan.drift(legs)
    rules = (
        (at.trigger is Trigger.PERSON, "asked_for", "Somebody asked for it."),
        (bool(planning.outside(legs, policy)), "outside_band", "At least one weight is outside its band."),
        (policy.total_drift is not None and drift > policy.total_drift, "total_drift", "The total drift is too large."),
        (at.trigger is not None and at.is_calendar_due(), "calendar", "It is the day of the calendar rule."),
    )
    return next(((rule, detail) for holds, rule, detail in rules if holds), (None, ""))


def _facts(
    portfolio: Portfolio, found: Valuation, legs: tuple[plan.Leg, ...], trigger: Trigger | None
) -> dict[str, Any]:
    band, cools_down_until = portfolio.policy.price_band, portfolio.cools_down_until()
    cash = next(leg for leg in legs if leg.asset == CASH)
    facts: dict[str, Any] = {
        "trigger": trigger.value if trigger else "change",
        "revision": portfolio.revision,
        "value": plain(found.total.quantize(Decimal("0.01"), context=CONTEXT)),
        "cash": plain(found.cash),
        "cash_weight": plain(cash.drifted),
        "drift": plain(plan.drift(legs)),
        "band": {"type": band.type.value, "value": plain(band.value)},
        "cooldown": {"seconds": portfolio.policy.cooldown_seconds},
        "destination": portfolio.policy.destination.value,
        "outside": len(planning.outside(legs, portfolio.policy)),
        "prices": {symbol: plain(price) for symbol, price in sorted(found.prices.items())},
    }
    if band.points:
        facts["band"]["points"] = plain(band.points)
    if cools_down_until is not None:
        facts["cooldown"]["until"] = format_time(cools_down_until)
    return facts


def _plan_facts(orders: OrderPlan) -> dict[str, Any]:
    return {
        "drift_after": plain(orders.drift_after),
        "within_band_after": orders.within_band_after,
        "skipped": [[it.symbol, it.side.value, plain(it.notional), it.reason] for it in orders.skipped],
    }


def planned(
    at: Situation, checked: Checked, asked: Rebalance | None, *, run_seconds: int
) -> tuple[Rebalance, Portfolio]:
    """The rebalance that the check calls for (the one that a person asked for, or a new one), and the portfolio locked
    by it. One transaction writes both; the journal is in the item before the first order is sent."""
    assert checked.plan is not None  # noqa: S101 - asked only where there is one
    portfolio, now = at.portfolio, at.now
    rebalance = asked or _begun(portfolio, at.trigger or Trigger.PERSON, now)
    journal = execution.planned(
        rebalance.rebalance_id,
        checked.plan.orders,
        checked.plan.skipped,
        portfolio.policy,
        is_paid_for=_is_paid_for(portfolio, checked.plan, checked.valuation),
        deadline=now + timedelta(seconds=run_seconds),
    )
    rebalance = rebalance.moved_to(
        RebalanceStatus.PLANNED,
        now,
        why=checked.why,
        legs=checked.plan.legs,
        weights={leg.asset: leg.drifted for leg in checked.plan.legs},
        execution=journal,
        mode=at.mode,
    )
    return rebalance, portfolio.rebalancing(rebalance.rebalance_id, now, checked.calendar_at)


def _begun(portfolio: Portfolio, trigger: Trigger, now: datetime) -> Rebalance:
    """A rebalance that nobody asked for; the epoch of the watches makes its id."""
    request_id = f"{trigger.value}-{portfolio.watching.begun}"
    return Rebalance(
        tenant_id=portfolio.tenant_id,
        portfolio_id=portfolio.portfolio_id,
        rebalance_id=rebalance_id_of(portfolio.portfolio_id, f"check#{portfolio.watching.begun}"),
        user_id=portfolio.user_id,
        name=portfolio.name,
        request_id=request_id,
        request_hash=ids.fingerprint(request_id),
        weights={},
        as_of=now,
        created_at=now,
        updated_at=now,
        trigger=trigger,
        version=0,
    )


def _is_paid_for(portfolio: Portfolio, orders: OrderPlan, found: Valuation | None) -> bool:
    """Whether the cash above its buffer covers every buy at its limit price, without waiting for the sells."""
    buys = [each for each in orders.orders if each.side is Side.BUY]
    cost = sum((CONTEXT.multiply(each.quantity, each.limit_price) for each in buys), ZERO)
    total = found.total if found else ZERO
    buffer = CONTEXT.divide(CONTEXT.multiply(total, portfolio.policy.cash_buffer), HUNDRED)
    return cost <= (portfolio.cash or ZERO) - buffer
