"""The request bodies of betting, and the conversion of bodies and messages into domain values."""

import re
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, StrictBool, WithJsonSchema, model_validator

from trimtab.betting.domain.insights import Insight
from trimtab.betting.domain.odds import MAX_ODDS
from trimtab.betting.domain.orders import NewOrder, SettlementRequest
from trimtab.betting.domain.results import BetSide, ResultKind, SelectionResult
from trimtab.contracts.fields import DecimalOdds, FineQuantity, Identifier, Model, Money, Percent, Time
from trimtab.contracts.messages import InsightReceived
from trimtab.kernel.money import NUMBER_PATTERN, ZERO

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
ReductionFactor = Annotated[Percent, Field(ge=0, lt=100, examples=["20"])]
Factor = Annotated[Fraction, BeforeValidator(_read_factor), WithJsonSchema(_FACTOR_SCHEMA, mode="validation")]
Odds = Annotated[DecimalOdds, Field(gt=1, le=MAX_ODDS, examples=["3.50"])]
Reason = Annotated[str, Field(min_length=1, max_length=500)]


class PlaceOrder(Model):
    """An order to place."""

    user_id: Identifier
    market_id: Identifier
    selection_id: Identifier
    side: BetSide
    """`BACK` bets that the selection wins, `LAY` that the selection loses."""
    stake: Annotated[Money, Field(gt=0, examples=["10.00"])]
    """The backer's stake in money, above 0, with 2 decimals."""
    odds: Odds
    """Decimal odds on the ladder of the venue, above 1, up to 1,000: the payout of a winning BACK per unit of stake."""

    def to_domain(self) -> NewOrder:
        """Return the order."""
        return NewOrder(self.user_id, self.market_id, self.selection_id, self.side, self.stake, self.odds)


class SettleOrder(Model):
    """The settlement of an order by the result of its selection."""

    won: StrictBool | None = None
    """True where the selection won (not the order: a LAY then loses), false where it lost. Give either `won` or
    `result`. Example: `true`"""
    result: ResultKind | None = None
    """The result of the selection. Give either `won` or `result`."""
    dead_heat_factor: Factor | None = None
    """The part of each stake that wins a dead heat: above 0, below 1, as a number or an exact fraction. Required for
    `dead_heat`, not allowed otherwise. Example: `1/3`"""
    reduction_factor: ReductionFactor = ZERO
    """The percentage by which the winnings are reduced for a non-runner, 0 to below 100, with at most 4 decimals.
    Default: 0. Example: `20`"""
    commission: Annotated[Money, Field(ge=0)] = ZERO
    """The commission on the winnings of the order in money, at least 0, up to the winnings. Default: 0. Example:
    `0.50`"""
    payout: Annotated[Money, Field(ge=0)] | None = None
    """The payout in money, at least 0. It must equal the payout that follows from the result, unless an
    `override_reason` is given. Example: `35.00`"""
    override_reason: Reason | None = None
    """The reason for another payout than the result's, 1 to 500 characters; needs a `payout`. Example: `Goodwill`"""

    @model_validator(mode="after")
    def _require_one_result(self) -> "SettleOrder":
        if (self.won is None) is (self.result is None):
            raise ValueError("Give either won or result.")
        if self.override_reason is not None and self.payout is None:
            raise ValueError("An override_reason needs a payout.")
        return self

    def to_domain(self) -> SettlementRequest:
        """Return the settlement request; raises `Unprocessable` if factors and result do not go together."""
        kind = self.result or (ResultKind.WON if self.won else ResultKind.LOST)
        result = SelectionResult(kind, self.dead_heat_factor, self.reduction_factor)
        return SettlementRequest(result, self.commission, self.payout, self.override_reason)


class ResettleOrder(SettleOrder):
    """The corrected settlement of a settled order."""

    reason: Reason
    """The reason of the correction, 1 to 500 characters. Example: `The winner was disqualified.`"""


class StoreInsight(Model):
    """A provider's estimate for a selection; the newest of each selection counts."""

    market_id: Identifier
    selection_id: Identifier
    implied_probability: Annotated[FineQuantity, Field(gt=0, lt=1, examples=["0.31"])]
    """The probability that the selection wins, above 0 and below 1, up to 18 decimals."""
    expected_value: Annotated[FineQuantity, Field(examples=["0.085"])]
    """The expected profit of backing the selection, per unit of stake, up to 18 decimals."""
    momentum: Annotated[FineQuantity, Field(examples=["0.4"])]
    """The provider's measure of the recent change, up to 18 decimals; Trimtab stores it as it is."""
    as_of: Time | None = None
    """The time of the estimate (RFC 3339), at most 5 minutes in the future. Default: the time of the request. Example:
    `2026-11-20T15:30:00Z`"""

    def to_domain(self, now: datetime) -> Insight:
        """Return the insight."""
        estimates = (self.implied_probability, self.expected_value, self.momentum)
        return Insight(self.market_id, self.selection_id, *estimates, self.as_of or now)


def read_insight_message(message: InsightReceived, sent_at: datetime) -> Insight:
    """Return the insight in a message; without a time of its own, the insight is as of the sending of the message."""
    return Insight(
        market_id=message.market_id,
        selection_id=message.selection_id,
        implied_probability=message.implied_probability,
        expected_value=message.expected_value,
        momentum=message.momentum,
        as_of=message.as_of or sent_at,
    )
