"""The field types of every body, message and answer: one place where text from outside becomes a value."""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from trimtab.kernel import clock, money
from trimtab.kernel.errors import Refusal
from trimtab.kernel.ids import ASSET_PATTERN, IDENTIFIER_PATTERN

T = TypeVar("T")


class Model(BaseModel):
    """A value read from outside or written to it: unknown fields are refused, and it cannot be changed."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _number(places: int) -> Callable[[Any], Decimal]:
    def read(value: Any) -> Decimal:
        if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
            raise ValueError("Give a number, or a text that writes one.")
        return _explain(lambda: money.parse_number(value if isinstance(value, str) else f"{value:f}", places))

    return read


def _time(value: Any) -> datetime:
    if isinstance(value, datetime):
        return value
    if not isinstance(value, str):
        raise ValueError("Give the time as a text in RFC 3339.")
    return _explain(lambda: clock.parse_time(value))


def _explain(read: Callable[[], T]) -> T:
    try:
        return read()
    except Refusal as refusal:
        raise ValueError(refusal.detail) from None


def _decimal_schema(places: int) -> WithJsonSchema:
    pattern = rf"^-?[0-9]{{1,12}}(\.[0-9]{{1,{places}}})?$"
    return WithJsonSchema({"anyOf": [{"type": "string", "pattern": pattern}, {"type": "number"}]}, mode="validation")


Percent = Annotated[Decimal, BeforeValidator(_number(money.PERCENT_PLACES)), _decimal_schema(money.PERCENT_PLACES)]
Weight = Annotated[Percent, Field(ge=0, le=100)]
Money = Annotated[Decimal, BeforeValidator(_number(money.MONEY_PLACES)), _decimal_schema(money.MONEY_PLACES)]
Time = Annotated[
    datetime, BeforeValidator(_time), WithJsonSchema({"type": "string", "format": "date-time"}, mode="validation")
]
Asset = Annotated[str, Field(pattern=f"^{ASSET_PATTERN}$")]
Identifier = Annotated[str, Field(pattern=f"^{IDENTIFIER_PATTERN}$")]


def _sums_to_hundred(weights: dict[str, Decimal]) -> dict[str, Decimal]:
    total = sum(weights.values(), money.ZERO)
    if total != money.HUNDRED:
        raise ValueError(f"The weights sum to {money.plain(total)}; they must sum to exactly 100.")
    return weights


MAX_ASSETS = 90
Weights = Annotated[dict[Asset, Weight], Field(min_length=1, max_length=MAX_ASSETS)]
"""Percent by asset, zeros allowed, whatever the sum."""

Allocation = Annotated[Weights, AfterValidator(_sums_to_hundred)]
"""Percent by asset, zeros allowed, summing to exactly 100."""

PositiveWeight = Annotated[Percent, Field(gt=0, le=100)]
TargetAllocation = Annotated[
    dict[Asset, PositiveWeight], Field(min_length=1, max_length=MAX_ASSETS), AfterValidator(_sums_to_hundred)
]
"""Percent by asset, each above zero, summing to exactly 100."""
