"""The bodies and messages that betting reads."""

import re
from decimal import Decimal
from fractions import Fraction
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, StrictBool, WithJsonSchema, model_validator

from trimtab.betting.domain.insights import Insight
from trimtab.betting.domain.orders import Asked, NewOrder
from trimtab.betting.domain.results import Result, Side, Verdict
from trimtab.contracts.fields import Identifier, Model, Money, Percent
from trimtab.contracts.messages import InsightReceived
from trimtab.kernel.money import NUMBER_PATTERN, ZERO

MAX_ODDS = 1000
MAX_SELECTIONS = 100
_FRACTION = re.compile(r"[1-9][0-9]{0,9}/[1-9][0-9]{0,9}")
_NO_FACTOR = "Give a number between 0 and 1, or a fraction such as 1/3."


def _factor(value: Any) -> Fraction:
    """A part of one: `1/3`, `0.5`. A third has no decimal, so fractions are read too, and kept."""
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise ValueError(_NO_FACTOR)
    text = f"{value:f}" if isinstance(value, Decimal) else str(value)
    if not _FRACTION.fullmatch(text) and not re.fullmatch(NUMBER_PATTERN, text):
        raise ValueError(_NO_FACTOR)
    factor = Fraction(text)
    if not 0 < factor < 1:
        raise ValueError(_NO_FACTOR)
    return factor


_FACTOR_SCHEMA = {
    "anyOf": [
        {"type": "string", "pattern": r"^(0\.[0-9]{1,9}|[1-9][0-9]{0,9}/[1-9][0-9]{0,9})$"},
        {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
    ]
}
Factor = Annotated[Fraction, BeforeValidator(_factor), WithJsonSchema(_FACTOR_SCHEMA, mode="validation")]
Odds = Annotated[Money, Field(gt=1, le=MAX_ODDS, examples=["3.50"])]
Reason = Annotated[str, Field(min_length=1, max_length=500)]


class PlaceOrder(Model):
    """A bet: BACK that the selection wins, or LAY that it does not. Odds are decimal, stakes in money."""

    user_id: Identifier
    market_id: Identifier
    selection_id: Identifier
    side: Side
    stake: Annotated[Money, Field(gt=0, examples=["10.00"])]
    odds: Odds

    def to_domain(self) -> NewOrder:
        """The order."""
        return NewOrder(self.user_id, self.market_id, self.selection_id, self.side, self.stake, self.odds)


class SettleOrder(Model):
    """What became of the selection: `won`, or `result` for more than that. `commission` is an amount of money that is
    taken from what the order won. A payout is checked, never believed, unless an `override_reason` stands behind it."""

    won: StrictBool | None = None
    result: Result | None = None
    dead_heat_factor: Factor | None = None
    commission: Annotated[Money, Field(ge=0)] = ZERO
    payout: Annotated[Money, Field(ge=0)] | None = None
    override_reason: Reason | None = None

    @model_validator(mode="after")
    def _says_what_became_of_it(self) -> "SettleOrder":
        if (self.won is None) is (self.result is None):
            raise ValueError("Give won or result, and not both.")
        if self.override_reason is not None and self.payout is None:
            raise ValueError("An override_reason is for a payout: give that too.")
        return self

    def to_domain(self) -> Asked:
        """How it is to be settled."""
        result = self.result or (Result.WON if self.won else Result.LOST)
        verdict = Verdict(result, self.dead_heat_factor)
        return Asked(verdict, self.commission, self.payout, self.override_reason)


Selections = Annotated[list[Identifier], Field(max_length=MAX_SELECTIONS)]


class SettleMarket(Model):
    """The selections that have won and those that count for nothing; all others have lost.

    `commission_rate` is a percentage of what a user wins in the market in all.
    """

    winners: Selections
    voids: Selections = Field(default_factory=list)
    commission_rate: Annotated[Percent, Field(ge=0, le=100)] = ZERO


def insight_of(message: InsightReceived) -> Insight:
    """The insight of a message."""
    return Insight(
        market_id=message.market_id,
        selection_id=message.selection_id,
        implied_probability=message.implied_probability,
        expected_value=message.expected_value,
        momentum=message.momentum,
        as_of=message.as_of,
    )
