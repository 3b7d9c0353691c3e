"""The request bodies of betting, and the conversion of bodies and messages into domain values."""

import re
from decimal import Decimal
from fractions import Fraction
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, StrictBool, WithJsonSchema, model_validator

from trimtab.betting.domain.insights import Insight
from trimtab.betting.domain.orders import NewOrder, SettlementRequest
from trimtab.betting.domain.results import BetSide, ResultKind, SelectionResult
from trimtab.contracts.fields import Identifier, Model, Money, Percent
from trimtab.contracts.messages import InsightReceived
from trimtab.kernel.money import NUMBER_PATTERN, ZERO

MAX_ODDS = 1000
MAX_SELECTIONS_PER_LIST = 100
_FRACTION = re.compile(r"[1-9][0-9]{0,9}/[1-9][0-9]{0,9}")
_BAD_FACTOR = "Give a number above 0 and below 1, or a fraction such as 1/3."


def _read_factor(value: Any) -> Fraction:
    """Return the exact fraction in a text such as `1/3` or `0.5`."""
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise ValueError(_BAD_FACTOR)
    text = f"{value:f}" if isinstance(value, Decimal) else str(value)
    if not _FRACTION.fullmatch(text) and not re.fullmatch(NUMBER_PATTERN, text):
        raise ValueError(_BAD_FACTOR)
    factor = Fraction(text)
    if not 0 < factor < 1:
        raise ValueError(_BAD_FACTOR)
    return factor


_FACTOR_SCHEMA = {
    "anyOf": [
        {"type": "string", "pattern": r"^(0\.[0-9]{1,9}|[1-9][0-9]{0,9}/[1-9][0-9]{0,9})$"},
        {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
    ]
}
Factor = Annotated[Fraction, BeforeValidator(_read_factor), WithJsonSchema(_FACTOR_SCHEMA, mode="validation")]
Odds = Annotated[Money, Field(gt=1, le=MAX_ODDS, examples=["3.50"])]
Reason = Annotated[str, Field(min_length=1, max_length=500)]


class PlaceOrder(Model):
    """An order to place: BACK bets that the selection wins, LAY that the selection loses.

    `stake` is an amount of money, `odds` are decimal odds; both have 2 places.
    """

    user_id: Identifier
    market_id: Identifier
    selection_id: Identifier
    side: BetSide
    stake: Annotated[Money, Field(gt=0, examples=["10.00"])]
    odds: Odds

    def to_domain(self) -> NewOrder:
        """Return the order."""
        return NewOrder(self.user_id, self.market_id, self.selection_id, self.side, self.stake, self.odds)


class SettleOrder(Model):
    """The settlement of an order by the result of its selection: give either `won` or `result`.

    `commission` is an amount of money, charged on the winnings of the order. `payout` is optional: it must equal the
    payout that follows from the result, unless an `override_reason` is given.
    """

    won: StrictBool | None = None
    result: ResultKind | None = None
    dead_heat_factor: Factor | None = None
    commission: Annotated[Money, Field(ge=0)] = ZERO
    payout: Annotated[Money, Field(ge=0)] | None = None
    override_reason: Reason | None = None

    @model_validator(mode="after")
    def _require_one_result(self) -> "SettleOrder":
        if (self.won is None) is (self.result is None):
            raise ValueError("Give either won or result.")
        if self.override_reason is not None and self.payout is None:
            raise ValueError("An override_reason needs a payout.")
        return self

    def to_domain(self) -> SettlementRequest:
        """Return the settlement request; raises `Unprocessable` if factor and result do not go together."""
        kind = self.result or (ResultKind.WON if self.won else ResultKind.LOST)
        result = SelectionResult(kind, self.dead_heat_factor)
        return SettlementRequest(result, self.commission, self.payout, self.override_reason)


Selections = Annotated[list[Identifier], Field(max_length=MAX_SELECTIONS_PER_LIST)]


class SettleMarket(Model):
    """The settlement of a market: its winners and its void selections; all other selections have lost.

    `commission_rate` is a percentage of the net winnings of a user in the market.
    """

    winners: Selections
    voids: Selections = Field(default_factory=list)
    commission_rate: Annotated[Percent, Field(ge=0, le=100)] = ZERO


def read_insight_message(message: InsightReceived) -> Insight:
    """Return the insight in a message."""
    return Insight(
        market_id=message.market_id,
        selection_id=message.selection_id,
        implied_probability=message.implied_probability,
        expected_value=message.expected_value,
        momentum=message.momentum,
        as_of=message.as_of,
    )
