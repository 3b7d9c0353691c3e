"""The policy of a portfolio: when it is rebalanced, how far its weights may drift, and how a rebalance is traded."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Any

from msgspec import Struct

from trimtab.kernel.money import CONTEXT, HUNDRED, ZERO, plain


class BandType(StrEnum):
    """How a band's value is meant: in percentage points, in percent of the target weight, or the larger of both."""

    ABSOLUTE = "absolute"
    RELATIVE = "relative"
    HYBRID = "hybrid"


class Destination(StrEnum):
    """Where a rebalance ends: at the target weights, or just inside the band."""

    TARGET = "target"
    BAND_EDGE = "band_edge"


class Automation(StrEnum):
    """Whether price moves and the calendar rebalance a portfolio by themselves, or only a person does."""

    AUTO = "auto"
    MANUAL = "manual"


class Mode(StrEnum):
    """What a rebalance may do: sell and buy; only buy with the cash that is there; only sell."""

    FULL = "full"
    INVEST_CASH = "invest_cash"
    SELL_ONLY = "sell_only"


class Afterwards(StrEnum):
    """What becomes of what was filled where the rest was not: it is reversed, or it stays."""

    COMPENSATE = "compensate"
    KEEP = "keep"


class Every(StrEnum):
    """How often a calendar condition is due."""

    WEEKLY = "weekly"
    MONTHLY = "monthly"
    QUARTERLY = "quarterly"
    ANNUALLY = "annually"


class CalendarRule(Struct, frozen=True):
    """A day that comes back: it rebalances whatever the drift is.

    `day` is the day of the week (1 is Monday) of a weekly rule, else the day of the month; `month` is that of the year
    (annually) or of the quarter (1 to 3, quarterly). A day that a month does not have, or that is no trading day,
    moves to the trading day before it.
    """

    every: Every
    day: int = 1
    month: int = 1


HYBRID_PERCENT = Decimal(20)
HYBRID_POINTS = Decimal(1)


class Band(Struct, frozen=True):
    """How far a weight may be from its target; outside is strictly further than the tolerance.

    `value` is points for an absolute band, percent of the target for a relative and a hybrid one. `points` is the
    least tolerance of a hybrid band.
    """

    type: BandType = BandType.ABSOLUTE
    value: Decimal = ZERO
    points: Decimal = ZERO

    def tolerance(self, target: Decimal) -> Decimal:
        """The tolerance in percentage points around this target weight."""
        if self.type is BandType.ABSOLUTE:
            return self.value
        share = CONTEXT.divide(CONTEXT.multiply(target, self.value), HUNDRED)
        return share if self.type is BandType.RELATIVE else max(share, self.points)


PRICE_BAND = Band(BandType.ABSOLUTE, Decimal(5))


class Policy(Struct, frozen=True):
    """When and how far to rebalance, and how to trade. Percents are of the portfolio's value.

    Without a band, a drift report counts every drift and a price check 5 points. `total_drift` is one more trigger:
    the share of the portfolio that may be in the wrong place. Cooldown is seconds between rebalances. `cash_target` is
    the weight of cash, `cash_buffer` what no buy goes below. `max_slippage` is how much worse than the planning quote
    an order may fill. `minimum_trade` is money.
    """

    band: Band | None = None
    destination: Destination = Destination.TARGET
    cooldown_seconds: int = 0
    automation: Automation = Automation.AUTO
    total_drift: Decimal | None = None
    calendar: CalendarRule | None = None
    mode: Mode = Mode.FULL
    minimum_trade: Decimal = Decimal(1)
    whole_shares: bool = False
    cash_target: Decimal = ZERO
    cash_buffer: Decimal = Decimal("0.25")
    max_slippage: Decimal = Decimal(1)
    max_quote_age_seconds: int = 86_400
    on_partial_fill: Afterwards = Afterwards.COMPENSATE
    on_cancel: Afterwards = Afterwards.COMPENSATE

    @property
    def price_band(self) -> Band:
        """The band of price checks."""
        return self.band or PRICE_BAND

    def columns(self) -> list[object]:
        """The policy as plain values; equal policies give equal ones, however their numbers were written.

        The last column holds what is not its default, and is left out where there is nothing.
        """
        band = self.band and [self.band.type.value, plain(self.band.value), plain(self.band.points)]
        default = Policy()
        others = {
            name: _plain(getattr(self, name)) for name in _OTHERS if getattr(self, name) != getattr(default, name)
        }
        return [band, self.destination.value, self.cooldown_seconds, *([others] if others else [])]


_OTHERS = Policy.__struct_fields__[3:]


def _plain(value: object) -> object:
    if isinstance(value, CalendarRule):
        return [value.every.value, value.day, value.month]
    return plain(value) if isinstance(value, Decimal) else value


def policy_of(columns: list[Any]) -> Policy:
    """The policy whose columns these are."""
    band, destination, cooldown_seconds, *rest = columns
    others: Mapping[str, Any] = rest[0] if rest else {}
    return Policy(
        Band(BandType(band[0]), Decimal(band[1]), Decimal(band[2])) if band else None,
        Destination(destination),
        cooldown_seconds,
        **{name: _READ[name](value) for name, value in others.items()},
    )


def _calendar(columns: list[Any]) -> CalendarRule:
    every, day, month = columns
    return CalendarRule(Every(every), day, month)


_READ: Mapping[str, Callable[[Any], Any]] = {
    "automation": Automation,
    "total_drift": Decimal,
    "calendar": _calendar,
    "mode": Mode,
    "minimum_trade": Decimal,
    "whole_shares": bool,
    "cash_target": Decimal,
    "cash_buffer": Decimal,
    "max_slippage": Decimal,
    "max_quote_age_seconds": int,
    "on_partial_fill": Afterwards,
    "on_cancel": Afterwards,
}
