"""Field types of request bodies, messages and responses, which parse text from outside strictly."""

import re
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from trimtab.kernel import clock, money
from trimtab.kernel.errors import Refusal
from trimtab.kernel.ids import ASSET_PATTERN, IDENTIFIER_PATTERN

T = TypeVar("T")

FIRST_DAY, LAST_DAY = date(1970, 1, 1), date(2999, 12, 31)
"""The range of permitted days: a day outside is a typing error."""


class Model(BaseModel):
    """An immutable model of a body, message or response, which rejects unknown fields.

    The validator is built on first use: most models of a function only document routes, and a cold start needs few.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


def _digits(value: str | int | Decimal) -> str:
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


def _number(places: int) -> Callable[[Any], Decimal]:
    def read(value: Any) -> Decimal:
        if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
            raise ValueError("Use a number, or a number as text.")
        return _explain(lambda: money.parse_number(_digits(value), places))

    return read


def whole(value: Any) -> int:
    """Return a whole number given in plain digits; raises `ValueError` otherwise, as for `true` or `1_0`."""
    if not isinstance(value, bool) and isinstance(value, str | int | Decimal):
        text = _digits(value)
        if re.fullmatch(r"-?[0-9]{1,12}", text):
            return int(text)
    raise ValueError("Use a whole number in plain digits.")


def constant(value: Any) -> Any:
    """Return the value for comparison with a number constant; texts and booleans never equal the constant."""
    return None if isinstance(value, bool | str) else value


def _time(value: Any) -> datetime:
    if isinstance(value, datetime):
        return value
    if not isinstance(value, str):
        raise ValueError("Use an RFC 3339 time as text.")
    instant = _explain(lambda: clock.parse_time(value))
    _within(instant.date())
    return instant


def _day(value: Any) -> date:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    if not isinstance(value, str) or not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
        raise ValueError("Use a day as YYYY-MM-DD.")
    return _within(date.fromisoformat(value))


def _within(day: date) -> date:
    if not FIRST_DAY <= day <= LAST_DAY:
        raise ValueError(f"Use a day from {FIRST_DAY.isoformat()} to {LAST_DAY.isoformat()}.")
    return day


def _explain(read: Callable[[], T]) -> T:
    try:
        return read()
    except Refusal as refusal:
        raise ValueError(refusal.detail) from None


def _decimal_schema(places: int) -> WithJsonSchema:
    pattern = rf"^-?[0-9]{{1,12}}(\.[0-9]{{1,{places}}})?$"
    return WithJsonSchema({"anyOf": [{"type": "string", "pattern": pattern}, {"type": "number"}]}, mode="validation")


Day = Annotated[date, BeforeValidator(_day), WithJsonSchema({"type": "string", "format": "date"}, mode="validation")]
Month = Annotated[str, Field(pattern="^(19[7-9][0-9]|2[0-9]{3})-(0[1-9]|1[0-2])$", examples=["2026-10"])]
Whole = Annotated[int, BeforeValidator(whole)]
Percent = Annotated[Decimal, BeforeValidator(_number(money.PERCENT_PLACES)), _decimal_schema(money.PERCENT_PLACES)]
Weight = Annotated[Percent, Field(ge=0, le=100)]
Money = Annotated[Decimal, BeforeValidator(_number(money.MONEY_PLACES)), _decimal_schema(money.MONEY_PLACES)]
Quantity = Annotated[Decimal, BeforeValidator(_number(money.QUANTITY_PLACES)), _decimal_schema(money.QUANTITY_PLACES)]
Time = Annotated[
    datetime, BeforeValidator(_time), WithJsonSchema({"type": "string", "format": "date-time"}, mode="validation")
]
Asset = Annotated[str, Field(pattern=f"^{ASSET_PATTERN}$")]
Identifier = Annotated[str, Field(pattern=f"^{IDENTIFIER_PATTERN}$")]


def _sums_to_hundred(weights: dict[str, Decimal]) -> dict[str, Decimal]:
    total = sum(weights.values(), money.ZERO)
    if total != money.HUNDRED:
        raise ValueError(f"The weights sum to {money.plain(total)}; the sum must be exactly 100.")
    return weights


MAX_ASSETS = 90
_ASSETS_ONLY = Field(min_length=1, max_length=MAX_ASSETS, json_schema_extra={"additionalProperties": False})
Weights = Annotated[dict[Asset, Weight], _ASSETS_ONLY]
"""Percentages by asset, zeros included; any sum."""

Allocation = Annotated[Weights, AfterValidator(_sums_to_hundred)]
"""Percentages by asset, zeros included; the sum is exactly 100."""

PositiveWeight = Annotated[Percent, Field(gt=0, le=100)]
TargetAllocation = Annotated[dict[Asset, PositiveWeight], _ASSETS_ONLY, AfterValidator(_sums_to_hundred)]
"""Percentages by asset, each above zero; the sum is exactly 100."""
