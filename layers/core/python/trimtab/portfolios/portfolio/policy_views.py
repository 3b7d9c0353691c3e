"""Request and response bodies of a portfolio's policy."""

from decimal import Decimal
from typing import Annotated, Any

from msgspec.structs import replace
from pydantic import Field, StrictBool, model_validator

from trimtab.contracts.fields import MAX_ASSETS, Asset, Model, Money, Percent, Whole
from trimtab.kernel.currencies import money_text
from trimtab.kernel.ids import MAX_ASSET_LENGTH
from trimtab.kernel.money import to_percent
from trimtab.portfolios.portfolio.policy import (
    HYBRID_PERCENT,
    HYBRID_POINTS,
    Automation,
    Band,
    BandType,
    CalendarRule,
    Destination,
    Frequency,
    Mode,
    OnDeposit,
    OnIncomplete,
    Policy,
    Restriction,
)

MAX_COOLDOWN_SECONDS = 366 * 24 * 3600
MAX_QUOTE_AGE_SECONDS = 366 * 24 * 3600
_BY_SYMBOL = Field(
    max_length=MAX_ASSETS,
    json_schema_extra={"additionalProperties": False, "propertyNames": {"maxLength": MAX_ASSET_LENGTH}},
)


class BandBody(Model):
    """A tolerance band: a weight further from the target than the tolerance counts as drifted."""

    type: BandType
    """The unit of `value`: `absolute` in percentage points, `relative` in percent of the target weight, `hybrid` the
    larger of `relative` and `points`."""
    value: Annotated[Percent, Field(ge=0, le=100)] | None = None
    """The tolerance, 0 to 100: percentage points for `absolute`, percent of the target for `relative` and `hybrid`.
    Required except for `hybrid`, where the default is 20. Example: `5`"""
    points: Annotated[Percent, Field(ge=0, le=100)] | None = None
    """The least tolerance of a hybrid band in percentage points, 0 to 100; 1 by default. Only for `hybrid`. Example:
    `1`"""

    @model_validator(mode="after")
    def _fits_its_type(self) -> "BandBody":
        if self.type is not BandType.HYBRID and self.value is None:
            raise ValueError(f"Give the value of the {self.type.value} band.")
        if self.type is not BandType.HYBRID and self.points is not None:
            raise ValueError("Only a hybrid band has points.")
        return self

    def to_domain(self) -> Band:
        """Return the band with its defaults filled in."""
        if self.type is not BandType.HYBRID:
            return Band(self.type, self.value or Decimal(0))
        return Band(
            self.type,
            HYBRID_PERCENT if self.value is None else self.value,
            HYBRID_POINTS if self.points is None else self.points,
        )


class CalendarBody(Model):
    """A calendar rule: a recurring rebalance day, checked at 15:30 UTC."""

    frequency: Frequency
    """The frequency of the rebalance: `weekly`, `monthly`, `quarterly` or `annually`."""
    day: Annotated[Whole, Field(ge=1, le=31)] = 1
    """The day of the week (1 is Monday) of a weekly rule, otherwise the day of the month; a day that does not exist or
    has no trading moves to the trading day before. Example: `1`"""
    month: Annotated[Whole, Field(ge=1, le=12)] = 1
    """The month of the year (1 to 12) of an annual rule, or of the quarter (1 to 3) of a quarterly rule; 1 for others.
    Example: `1`"""

    @model_validator(mode="after")
    def _fits_its_kind(self) -> "CalendarBody":
        if self.frequency is Frequency.WEEKLY and self.day > 7:
            raise ValueError("Give the day of the week: 1 is Monday, 7 is Sunday.")
        most = {Frequency.QUARTERLY: 3, Frequency.ANNUALLY: 12}.get(self.frequency, 1)
        if self.month > most:
            raise ValueError(f"The `month` of a {self.frequency.value} rule must be at most {most}.")
        return self

    def to_domain(self) -> CalendarRule:
        """Return the calendar rule of the domain."""
        return CalendarRule(self.frequency, self.day, self.month)


class PolicyBody(Model):
    """A change of policy: an omitted member keeps its value, null restores the default."""

    band: BandBody | None = None
    """The tolerance of each weight. Default: 5 percentage points for price checks, 0 for drift reports."""
    destination: Destination | None = None
    """The end of a rebalance. `target` restores the target weights. `band_edge` trades only enough to bring every
    weight inside its band; it restores the target where every weight is inside already or the total drift would stay
    too large. Default: `target`."""
    cooldown_seconds: Annotated[Whole, Field(ge=0, le=MAX_COOLDOWN_SECONDS)] | None = None
    """The minimum time between two rebalances in seconds, up to 31,622,400 (366 days). Default: 0. Example: `86400`"""
    automation: Automation | None = None
    """`auto`: prices and the calendar rebalance a portfolio with holdings; `manual`: only a person does. Default:
    `auto`."""
    total_drift: Annotated[Percent, Field(gt=0, le=100)] | None = None
    """The largest tolerated drift of the whole portfolio, half the sum of all drifts, in percent of its value; above 0,
    up to 100. Default: none. Example: `5`"""
    calendar: CalendarBody | None = None
    """The recurring rebalance day. Default: none."""
    mode: Mode | None = None
    """The trades that a rebalance may make: `full`, `invest_cash` (buys only) or `sell_only`. Default: `full`."""
    minimum_trade: Annotated[Money, Field(ge=0)] | None = None
    """The smallest order in money, at least 0. Default: 1.00. Example: `25.00`"""
    whole_shares: StrictBool | None = None
    """True for orders without fractions of a unit. Default: false. Example: `true`"""
    cash_target: Annotated[Percent, Field(ge=0, lt=100)] | None = None
    """The target weight of cash in percent of the portfolio's value, from 0 to less than 100. Default: 0. Example:
    `2`"""
    cash_buffer: Annotated[Percent, Field(ge=0, le=50)] | None = None
    """The weight of cash that buys must leave, in percent of the portfolio's value, 0 to 50. Default: 0.25. Example:
    `0.25`"""
    max_slippage: Annotated[Percent, Field(gt=0, le=50)] | None = None
    """The percent by which a fill may be worse than the planning quote; above 0, up to 50. Default: 1. Example: `1`"""
    max_quote_age_seconds: Annotated[Whole, Field(ge=1, le=MAX_QUOTE_AGE_SECONDS)] | None = None
    """The age in seconds from which a quote counts as missing, 1 to 31,622,400. Default: 86400 (a day). Example:
    `86400`"""
    on_partial_fill: OnIncomplete | None = None
    """The treatment of fills where other orders do not fill: `compensate` reverses them, `keep` keeps partial fills,
    and accepts a reversal in part, within `max_slippage`. Default: `compensate`."""
    on_cancel: OnIncomplete | None = None
    """The treatment of fills where a person cancels the rebalance: `compensate` reverses them, `keep` keeps them.
    Default: `compensate`."""
    on_deposit: OnDeposit | None = None
    """`invest` buys with a deposit at once, also while every weight is inside its band; `hold` leaves the deposit in
    cash until the next rebalance. Default: `hold`."""
    price_collar: Annotated[Percent, Field(gt=0, le=100)] | None = None
    """The largest distance of a limit price from the quote in percent; above 0, up to 100. The tighter limit of policy
    and deployment holds. Default: none. Example: `5`"""
    max_order_notional: Annotated[Money, Field(gt=0)] | None = None
    """The largest value of one order in money, above 0. The tighter limit of policy and deployment holds. Default:
    none. Example: `50000.00`"""
    max_daily_turnover: Annotated[Percent, Field(gt=0, le=10_000)] | None = None
    """The largest amount bought and sold a day, in percent of the portfolio's value; above 0, up to 10,000. The tighter
    limit of policy and deployment holds. Default: none. Example: `100`"""
    max_runs_per_day: Annotated[Whole, Field(ge=1, le=1_000)] | None = None
    """The largest number of rebalances a day, 1 to 1,000. The tighter limit of policy and deployment holds. Default:
    none. Example: `10`"""
    bands: Annotated[dict[Asset, BandBody], _BY_SYMBOL] | None = None
    """Bands of single symbols, which replace `band` for them; at most 90, replaced as a whole. Default: none."""
    restrictions: Annotated[dict[Asset, Restriction], _BY_SYMBOL] | None = None
    """Sides of single symbols that are never traded: `no_buy`, `no_sell` or `frozen` (both); at most 90, replaced as a
    whole. A restricted symbol keeps its value, and the others share the rest in proportion to their targets. Default:
    none."""

    def apply(self, policy: Policy) -> Policy:
        """Return the policy with this change."""
        default, changes = Policy(), {}
        for name in self.model_fields_set:
            value = getattr(self, name)
            changes[name] = getattr(default, name) if value is None else _to_domain(value)
        return replace(policy, **changes)


def _to_domain(value: Any) -> Any:
    if isinstance(value, dict):
        return {symbol: _to_domain(member) for symbol, member in sorted(value.items())}
    return value.to_domain() if hasattr(value, "to_domain") else value


class BandView(Model):
    """A band with its defaults filled in."""

    type: BandType
    value: str
    points: str | None = None


class CalendarView(Model):
    """A calendar rule."""

    frequency: Frequency
    day: int
    month: int


class PolicyView(Model):
    """A policy with its defaults filled in. `band` is null for the default band: 5 points for price checks, 0 for drift
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
    on_partial_fill: OnIncomplete
    on_cancel: OnIncomplete
    on_deposit: OnDeposit
    price_collar: str | None
    max_order_notional: str | None
    max_daily_turnover: str | None
    max_runs_per_day: int | None
    bands: dict[str, BandView]
    restrictions: dict[str, Restriction]


def policy_view(policy: Policy, currency: str) -> dict[str, Any]:
    """Return the members of a `PolicyView`; money is in `currency`."""
    rule, limit = policy.calendar, policy.max_order_notional
    return {
        "band": policy.band and _band_view(policy.band),
        "destination": policy.destination.value,
        "cooldown_seconds": policy.cooldown_seconds,
        "automation": policy.automation.value,
        "total_drift": None if policy.total_drift is None else _percent(policy.total_drift),
        "calendar": rule and {"frequency": rule.frequency.value, "day": rule.day, "month": rule.month},
        "mode": policy.mode.value,
        "minimum_trade": money_text(policy.minimum_trade, currency),
        "whole_shares": policy.whole_shares,
        "cash_target": _percent(policy.cash_target),
        "cash_buffer": _percent(policy.cash_buffer),
        "max_slippage": _percent(policy.max_slippage),
        "max_quote_age_seconds": policy.max_quote_age_seconds,
        "on_partial_fill": policy.on_partial_fill.value,
        "on_cancel": policy.on_cancel.value,
        "on_deposit": policy.on_deposit.value,
        "price_collar": None if policy.price_collar is None else _percent(policy.price_collar),
        "max_order_notional": None if limit is None else money_text(limit, currency),
        "max_daily_turnover": None if policy.max_daily_turnover is None else _percent(policy.max_daily_turnover),
        "max_runs_per_day": policy.max_runs_per_day,
        "bands": {symbol: _band_view(band) for symbol, band in policy.bands.items()},
        "restrictions": {symbol: restriction.value for symbol, restriction in policy.restrictions.items()},
    }


def _band_view(band: Band) -> dict[str, Any]:
    points = {"points": _percent(band.points)} if band.type is BandType.HYBRID else {}
    return {"type": band.type.value, "value": _percent(band.value), **points}


def _percent(number: Decimal) -> str:
    return f"{to_percent(number):f}"
