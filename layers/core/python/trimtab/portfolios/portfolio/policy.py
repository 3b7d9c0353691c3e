"""Policy of a portfolio: when to rebalance, how far weights may drift, and how to trade."""

from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Any

from msgspec import Struct, field

from trimtab.kernel.money import CONTEXT, HUNDRED, ZERO, plain


class BandType(StrEnum):
    """Unit of a band's value: percentage points, percent of the target weight, or the larger of the two."""

    ABSOLUTE = "absolute"
    RELATIVE = "relative"
    HYBRID = "hybrid"


class Destination(StrEnum):
    """End of a rebalance: the target weights, or just inside the band."""

    TARGET = "target"
    BAND_EDGE = "band_edge"


class Automation(StrEnum):
    """AUTO: prices and the calendar rebalance the portfolio. MANUAL: only a person does."""

    AUTO = "auto"
    MANUAL = "manual"


class Mode(StrEnum):
    """Trades that a rebalance may make: sells and buys, buys with the cash that is there, or sells."""

    FULL = "full"
    INVEST_CASH = "invest_cash"
    SELL_ONLY = "sell_only"


class OnIncomplete(StrEnum):
    """Treatment of fills where other orders of a rebalance did not fill: reverse them, or keep them."""

    COMPENSATE = "compensate"
    KEEP = "keep"


class OnDeposit(StrEnum):
    """Treatment of a deposit: hold it as cash until the next rebalance, or invest it at once."""

    HOLD = "hold"
    INVEST = "invest"


class Restriction(StrEnum):
    """Sides of a symbol that may not be traded."""

    NO_BUY = "no_buy"
    NO_SELL = "no_sell"
    FROZEN = "frozen"


class Frequency(StrEnum):
    """Frequency of a calendar rule."""

    WEEKLY = "weekly"
    MONTHLY = "monthly"
    QUARTERLY = "quarterly"
    ANNUALLY = "annually"


class CalendarRule(Struct, frozen=True):
    """A recurring day on which the portfolio is rebalanced, whatever the drift is.

    `day` is the day of the week (1 is Monday) of a weekly rule, else the day of the month; `month` is the month of the
    year (annually) or of the quarter (1 to 3, quarterly). A day that a month does not have, or a day without trading,
    moves to the trading day before.
    """

    frequency: Frequency
    day: int = 1
    month: int = 1


HYBRID_PERCENT = Decimal(20)
HYBRID_POINTS = Decimal(1)


class Band(Struct, frozen=True):
    """Tolerance band around a target weight. A weight is outside where its distance is greater than the tolerance.

    `value` is in percentage points for an absolute band, in percent of the target for a relative or hybrid one.
    `points` is the least tolerance of a hybrid band, in percentage points.

    >>> Band(BandType.HYBRID, Decimal(20), Decimal(1)).tolerance(Decimal(3))
    Decimal('1')
    """

    type: BandType = BandType.ABSOLUTE
    value: Decimal = ZERO
    points: Decimal = ZERO

    def tolerance(self, target: Decimal) -> Decimal:
        """Return the tolerance around a target weight (percent), in percentage points."""
        if self.type is BandType.ABSOLUTE:
            return self.value
        share = CONTEXT.divide(CONTEXT.multiply(target, self.value), HUNDRED)
        return share if self.type is BandType.RELATIVE else max(share, self.points)

    def to_details(self) -> dict[str, str]:
        """Return the members as texts, without points of zero: the form of a band in the details of a reason."""
        points = {"points": plain(self.points)} if self.points else {}
        return {"type": self.type.value, "value": plain(self.value), **points}


PRICE_BAND = Band(BandType.ABSOLUTE, Decimal(5))


class Policy(Struct, frozen=True):
    """Policy of a portfolio. Percents are of the portfolio's value, money is in the portfolio's currency.

    `band` is the tolerance of the weights; without a band a drift report tolerates no drift, and a price check 5
    points. `total_drift` is the largest allowed drift of the whole portfolio (percent), a trigger of its own.
    `cooldown_seconds` is the least time between two rebalances. `cash_target` is the target weight of cash,
    `cash_buffer` the share of cash that no buy goes below (both percent). `max_slippage` is how many percent worse than
    the planning quote an order may fill. `minimum_trade` is money; `max_quote_age_seconds` is the age from which a
    quote counts as missing. `bands` are the bands of single symbols, instead of `band`; `restrictions` the sides of
    single symbols that are never traded. `on_deposit` with INVEST buys with a deposit at once, also while every weight
    is inside its band. `price_collar`, `max_order_notional` (money), `max_daily_turnover` (percent) and
    `max_runs_per_day` are limits of the pre-trade controls, None for those of the deployment.

    Members equal to their defaults are neither stored nor hashed. A changed default therefore needs a new form version
    of the portfolio item and a new version of the request hash.
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
    on_partial_fill: OnIncomplete = OnIncomplete.COMPENSATE
    on_cancel: OnIncomplete = OnIncomplete.COMPENSATE
    bands: Mapping[str, Band] = field(default_factory=dict)
    restrictions: Mapping[str, Restriction] = field(default_factory=dict)
    on_deposit: OnDeposit = OnDeposit.HOLD
    price_collar: Decimal | None = None
    max_order_notional: Decimal | None = None
    max_daily_turnover: Decimal | None = None
    max_runs_per_day: int | None = None

    @property
    def price_band(self) -> Band:
        """The band of price checks."""
        return self.band or PRICE_BAND

    def non_defaults(self) -> dict[str, Any]:
        """Return the members that differ from the default policy, by name; equal policies give equal members."""
        default = Policy()
        members = {name: getattr(self, name) for name in self.__struct_fields__}
        return {name: member for name, member in members.items() if member != getattr(default, name)}
