"""Field types of request bodies, messages and responses. Input is parsed strictly: no coercion and no rounding."""

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WithJsonSchema,
    WrapValidator,
    model_validator,
)

from trimtab.kernel import clock, money
from trimtab.kernel.errors import Refusal
from trimtab.kernel.ids import (
    ASSET_CLASS_PATTERN,
    ASSET_PATTERN,
    IDENTIFIER_PATTERN,
    MAX_ASSET_LENGTH,
    MAX_NAME_LENGTH,
    read_idempotency_key,
    to_name,
)

T = TypeVar("T")

FIRST_DAY, LAST_DAY = date(1970, 1, 1), date(2999, 12, 31)
"""First and last permitted day. A day outside is assumed to be a typing error, and rejected."""


class Model(BaseModel):
    """An immutable model of a body, message or response that rejects unknown fields.

    Validators are built on first use: a cold start needs few of them, because most models only document routes.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    @model_validator(mode="before")
    @classmethod
    def _require_object(cls, value: Any) -> Any:
        # Powertools validates bodies by attributes too: a number would pass for an object without required members.
        if not isinstance(value, dict | cls):
            raise ValueError("Send an object.")
        return value


def _digits(value: str | int | Decimal) -> str:
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


def _places(places: int) -> Callable[[Any], Decimal]:
    return _number(lambda text: money.parse_number(text, places))


def _number(parse: Callable[[str], Decimal]) -> Callable[[Any], Decimal]:
    def read(value: Any) -> Decimal:
        if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
            raise ValueError("Use a number, or a number as text.")
        try:
            return parse(_digits(value))
        except Refusal as refusal:
            raise ValueError(refusal.detail) from None

    return read


def whole(value: Any) -> int:
    """Return a whole number given in plain digits; raises `ValueError` for other values, such as `true` or `1_0`.

    Decimals may be zeros, because `1.0` is an integer in JSON Schema.

    >>> whole(Decimal("1.0")), whole("7")
    (1, 7)
    """
    if not isinstance(value, bool) and isinstance(value, str | int | Decimal):
        found = re.fullmatch(r"(-?[0-9]{1,12})(\.0{1,9})?", _digits(value))
        if found:
            return int(found[1])
    raise ValueError("Use a whole number in plain digits.")


def _whole_number(value: Any) -> int:
    if isinstance(value, str):
        raise ValueError("Use a whole number, not a text.")
    return whole(value)


def constant(value: Any) -> Any:
    """Return the value, or None for a text or a boolean: `"1"` and `true` must not pass for the constant 1."""
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


_DAY_PATTERN = "(19[7-9][0-9]|2[0-9]{3})-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
_TIME_PATTERN = rf"{_DAY_PATTERN}T([01][0-9]|2[0-3])(:[0-5][0-9]){{2}}(\.[0-9]+)?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])"
Day = Annotated[
    date,
    BeforeValidator(_day),
    WithJsonSchema({"type": "string", "format": "date", "pattern": f"^{_DAY_PATTERN}$"}, mode="validation"),
]
Month = Annotated[str, Field(pattern="^(19[7-9][0-9]|2[0-9]{3})-(0[1-9]|1[0-2])$", examples=["2026-10"])]
Whole = Annotated[int, BeforeValidator(_whole_number)]
WholeParameter = Annotated[int, BeforeValidator(whole)]
"""A whole number in a query, where every value is a text."""

Percent = Annotated[Decimal, BeforeValidator(_places(money.PERCENT_PLACES)), _decimal_schema(money.PERCENT_PLACES)]
Weight = Annotated[
    Decimal, BeforeValidator(_places(money.PERCENT_PLACES)), _decimal_schema(money.FINEST_PLACES), Field(ge=0, le=100)
]
"""A percentage with at most 4 decimals, 0 to 100; the documented pattern has those of `normalise`, too."""

Money = Annotated[Decimal, BeforeValidator(_places(money.MONEY_PLACES)), _decimal_schema(money.MONEY_PLACES)]
DecimalOdds = Annotated[Decimal, BeforeValidator(_places(money.ODDS_PLACES)), _decimal_schema(money.ODDS_PLACES)]
StatedMoney = Annotated[Decimal, BeforeValidator(_places(money.STATED_PLACES)), _decimal_schema(money.STATED_PLACES)]
"""An amount as a broker or a bank states it: up to 9 decimals, rounded where the amount meets cash."""

Quantity = Annotated[Decimal, BeforeValidator(_places(money.QUANTITY_PLACES)), _decimal_schema(money.QUANTITY_PLACES)]
FineQuantity = Annotated[
    Decimal,
    BeforeValidator(_number(money.parse_fine_number)),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": f"^({money.NUMBER_PATTERN}|{money.FINE_NUMBER_PATTERN})$"},
                {"type": "number"},
            ]
        },
        mode="validation",
    ),
]
"""A quantity with up to 18 decimals."""

Time = Annotated[
    datetime,
    BeforeValidator(_time),
    WithJsonSchema({"type": "string", "format": "date-time", "pattern": f"^{_TIME_PATTERN}$"}, mode="validation"),
]
Asset = Annotated[str, Field(pattern=f"^{ASSET_PATTERN}$", max_length=MAX_ASSET_LENGTH)]
AssetClass = Annotated[str, Field(pattern=f"^{ASSET_CLASS_PATTERN}$", max_length=MAX_ASSET_LENGTH)]
"""An asset or an asset class of an allocation, such as `AAPL` or `US Bonds`."""

Identifier = Annotated[str, Field(pattern=f"^{IDENTIFIER_PATTERN}$")]
_NAME_PATTERN = r"^[^\x00-\x20\x7f-\xa0]([^\x00-\x1f\x7f-\x9f]*[^\x00-\x20\x7f-\xa0])?$"
Name = Annotated[
    str,
    AfterValidator(to_name),
    WithJsonSchema(
        {"type": "string", "minLength": 1, "maxLength": MAX_NAME_LENGTH, "pattern": _NAME_PATTERN}, mode="validation"
    ),
]
"""A display name of 1 to 100 characters of any script, in the normal form NFC."""


_KEY_PATTERN = '^("[ -!#-[^-~]{1,255}"|[!#-~]([ -~]{0,253}[!-~])?)$'
KeyText = Annotated[
    str,
    AfterValidator(read_idempotency_key),
    WithJsonSchema({"type": "string", "pattern": _KEY_PATTERN}, mode="validation"),
]
"""An idempotency key as a client sends it; the value is the request id."""


def _sums_to_hundred(weights: dict[str, Decimal]) -> dict[str, Decimal]:
    total = sum(weights.values(), money.ZERO)
    if total != money.HUNDRED:
        raise ValueError(f"The weights sum to {money.plain(total)}; the sum must be exactly 100.")
    return weights


def _without_zeros(weights: dict[str, Decimal]) -> dict[str, Decimal]:
    return {asset: weight for asset, weight in weights.items() if weight}


class CorrectedWeights(dict[str, Decimal]):
    """Percentages that were corrected to sum to 100, with the sum as sent."""

    def __init__(self, weights: Mapping[str, Decimal], sum_as_sent: Decimal) -> None:
        super().__init__(weights)
        self.sum_as_sent = sum_as_sent


def sum_as_sent(weights: Mapping[str, Decimal] | None) -> Decimal | None:
    """Return the sum of the weights before their correction, None for weights that were not corrected."""
    return weights.sum_as_sent if isinstance(weights, CorrectedWeights) else None


def _normalise_on_request(value: Any, check: ValidatorFunctionWrapHandler, info: ValidationInfo) -> Any:
    """Correct weights of a model whose member `normalise`, declared before, is true."""
    if not (info.data or {}).get("normalise") or not isinstance(value, dict):
        return check(value)
    try:
        sent = {asset: _number(money.parse_fine_number)(weight) for asset, weight in value.items()}
    except ValueError:
        return check(value)  # tells which weight is no number
    corrected = money.normalise_percents(sent)
    if corrected is None or corrected == sent:
        return check(value)
    return CorrectedWeights(check(corrected), sum(sent.values(), money.ZERO))


NormaliseOnRequest = WrapValidator(_normalise_on_request)
"""Marks an allocation of a model with the member `normalise`, which has to be declared before the allocation."""

MAX_ASSETS = 90
_ASSETS_ONLY = Field(
    min_length=1,
    max_length=MAX_ASSETS,
    json_schema_extra={"additionalProperties": False, "propertyNames": {"maxLength": MAX_ASSET_LENGTH}},
)
Weights = Annotated[dict[AssetClass, FineQuantity], _ASSETS_ONLY]
"""Percentages by asset, zeros included; any sum and any range, and decimals as a provider computes them."""

Allocation = Annotated[dict[AssetClass, Weight], _ASSETS_ONLY, AfterValidator(_sums_to_hundred)]
"""Percentages by asset, zeros included; the sum is exactly 100."""

TargetAllocation = Annotated[Allocation, AfterValidator(_without_zeros)]
"""Percentages by asset; the sum is exactly 100. An asset with the weight zero is not held, and is left out."""
