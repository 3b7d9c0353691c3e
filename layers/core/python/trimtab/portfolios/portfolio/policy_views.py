"""The policy of a portfolio as bodies give it and answers show it."""

from decimal import Decimal
from typing import Annotated, Any

from msgspec.structs import replace
from pydantic import Field, StrictBool, model_validator

from trimtab.contracts.fields import Model, Money, Percent, Whole
from trimtab.kernel.money import to_percent
from trimtab.portfolios.portfolio.policy import (
    HYBRID_PERCENT,
    HYBRID_POINTS,
    Afterwards,
    Automation,
    Band,
    BandType,
    CalendarRule,
    Destination,
    Every,
    Mode,
    Policy,
)

MAX_COOLDOWN_SECONDS = 366 * 24 * 3600
MAX_QUOTE_AGE_SECONDS = 366 * 24 * 3600


class BandBody(Model):
    """How far a weight may be from its target before it counts as drifted (strictly further).

    `value` is percentage points for `absolute`, percent of the target for `relative` and `hybrid` (20 by default).
    `points` is the least tolerance of a hybrid band, 1 by default.
    """

    type: BandType
    value: Annotated[Percent, Field(ge=0, le=100)] | None = None
    points: Annotated[Percent, Field(ge=0, le=100)] | None = None

    @model_validator(mode="after")
    def _fits_its_type(self) -> "BandBody":
        if self.type is not BandType.HYBRID and self.value is None:
            raise ValueError(f"Give the value of the {self.type.value} band.")
        if self.type is not BandType.HYBRID and self.points is not None:
            raise ValueError("Only a hybrid band has points.")
        return self

    def to_domain(self) -> Band:
        """The band, with its defaults filled in."""
        if self.type is not BandType.HYBRID:
            return Band(self.type, self.value or Decimal(0))
        return Band(
            self.type,
            HYBRID_PERCENT if self.value is None else self.value,
            HYBRID_POINTS if self.points is None else self.points,
        )


class CalendarBody(Model):
    """A day that comes back. `day` is the day of the week (1 is Monday) of a weekly rule, else that of the month;
    `month` is that of the year (annually) or of the quarter (1 to 3). A day that a month does not have, or that is no
    trading day, moves to the trading day before it. Checked at 15:30 UTC.
    """

    every: Every
    day: Annotated[Whole, Field(ge=1, le=31)] = 1
    month: Annotated[Whole, Field(ge=1, le=12)] = 1

    @model_validator(mode="after")
    def _fits_its_kind(self) -> "CalendarBody":
        if self.every is Every.WEEKLY and self.day > 7:
            raise ValueError("Give the day of the week: 1 is Monday, 7 is Sunday.")
        most = {Every.QUARTERLY: 3, Every.ANNUALLY: 12}.get(self.every, 1)
        if self.month > most:
            raise ValueError(f"A {self.every.value} rule has months 1 to {most}.")
        return self

    def to_domain(self) -> CalendarRule:
        """The rule."""
        return CalendarRule(self.every, self.day, self.month)


class PolicyBody(Model):
    """A change of policy: what is left out stays, null goes back to the default.

    `band` (percentage points or percent of the target) is how far a weight may drift: 5 points for prices and 0 for
    drift reports by default; `total_drift` the share of the portfolio that may be in the wrong place (none);
    `destination` where a rebalance ends (target): `band_edge` makes the smallest moves that bring every weight inside
    its band, and goes to the target where all is inside already (somebody asked, the day of the calendar, the total
    drift) or the total drift would stay too large. `cooldown_seconds` the least time between two (0). `automation`:
    `auto` lets prices and the calendar rebalance a portfolio that holds something, `manual` only a person (auto).
    `calendar` rebalances on a day that comes back (none). `mode`: `full`, `invest_cash` (buys only) or `sell_only`
    (full). `minimum_trade` is money (1.00), `whole_shares` allows no fractions (false). `cash_target` is the weight of
    cash (0), `cash_buffer` the cash that no buy goes below (0.25), both in percent. `max_slippage` is how many percent
    worse than the planning quote an order may fill (1). A quote older than `max_quote_age_seconds` (86400) counts as
    none. `on_partial_fill` and `on_cancel`: `compensate` reverses what was filled, `keep` keeps it (compensate).
    """

    band: BandBody | None = None
    destination: Destination | None = None
    cooldown_seconds: Annotated[Whole, Field(ge=0, le=MAX_COOLDOWN_SECONDS)] | None = None
    automation: Automation | None = None
    total_drift: Annotated[Percent, Field(gt=0, le=100)] | None = None
    calendar: CalendarBody | None = None
    mode: Mode | None = None
    minimum_trade: Annotated[Money, Field(ge=0)] | None = None
    whole_shares: StrictBool | None = None
    cash_target: Annotated[Percent, Field(ge=0, lt=100)] | None = None
    cash_buffer: Annotated[Percent, Field(ge=0, le=50)] | None = None
    max_slippage: Annotated[Percent, Field(gt=0, le=50)] | None = None
    max_quote_age_seconds: Annotated[Whole, Field(ge=1, le=MAX_QUOTE_AGE_SECONDS)] | None = None
    on_partial_fill: Afterwards | None = None
    on_cancel: Afterwards | None = None

    def apply(self, policy: Policy) -> Policy:
        """The policy with this change."""
        default, changes = Policy(), {}
        for name in self.model_fields_set:
            value = getattr(self, name)
            to_domain = getattr(value, "to_domain", None)
            changes[name] = getattr(default, name) if value is None else to_domain() if to_domain else value
        return replace(policy, **changes)


class BandView(Model):
    """A band, with its defaults filled in."""

    type: BandType
    value: str
    points: str | None = None


class CalendarView(Model):
    """A calendar rule."""

    every: Every
    day: int
    month: int


class PolicyView(Model):
    """A policy, with its defaults filled in; `band` is null where it is the default: 5 points for prices, 0 for drift
    reports."""

    band: BandView | None
    destination: Destination
    cooldown_seconds: int
    automation: Automation
    total_drift: str | None
    calendar: CalendarView | None
    mode: Mode
    minimum_trade: str
    whole_shares: bool
    cash_target: str
    cash_buffer: str
    max_slippage: str
    max_quote_age_seconds: int
    on_partial_fill: Afterwards
    on_cancel: Afterwards


def policy_view(it: Policy) -> dict[str, Any]:
    """See `PolicyView`."""
    rule = it.calendar
    return {
        "band": it.band and _band_view(it.band),
        "destination": it.destination.value,
        "cooldown_seconds": it.cooldown_seconds,
        "automation": it.automation.value,
        "total_drift": None if it.total_drift is None else _percent(it.total_drift),
        "calendar": rule and {"every": rule.every.value, "day": rule.day, "month": rule.month},
        "mode": it.mode.value,
        "minimum_trade": f"{it.minimum_trade:.2f}",
        "whole_shares": it.whole_shares,
        "cash_target": _percent(it.cash_target),
        "cash_buffer": _percent(it.cash_buffer),
        "max_slippage": _percent(it.max_slippage),
        "max_quote_age_seconds": it.max_quote_age_seconds,
        "on_partial_fill": it.on_partial_fill.value,
        "on_cancel": it.on_cancel.value,
    }


def _band_view(band: Band) -> dict[str, Any]:
    points = {"points": _percent(band.points)} if band.type is BandType.HYBRID else {}
    return {"type": band.type.value, "value": _percent(band.value), **points}


def _percent(number: Decimal) -> str:
    return f"{to_percent(number):f}"
