"""Validation of daily bars: a provided row becomes a bar, or a fault with a kind and a text."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from trimtab.contracts.assets import QuoteUnit
from trimtab.contracts.bars import NUMBERS, Bar
from trimtab.contracts.quotes import HoldReason, Quote
from trimtab.kernel.ids import fingerprint
from trimtab.kernel.money import ZERO, plain
from trimtab.kernel.sessions import session_close
from trimtab.market.domain.plausibility import (
    PriceLimits,
    PricePoint,
    close_point,
    find_implausibility,
    is_at_level,
    newest,
    quote_point,
)

_PRICES = ("open", "high", "low", "close")
_OPTIONAL = ("vwap", "pre_market", "after_hours", "dividend")


class ProvidedBar(Struct, frozen=True):
    """A row of a provider for one symbol and day, unadjusted; None for a number that is absent or unreadable."""

    symbol: str
    open: Decimal | None = None
    high: Decimal | None = None
    low: Decimal | None = None
    close: Decimal | None = None
    volume: Decimal | None = None
    vwap: Decimal | None = None
    pre_market: Decimal | None = None
    after_hours: Decimal | None = None
    dividend: Decimal | None = None


class UnreadableRow(ProvidedBar, frozen=True, kw_only=True):
    """A row of a symbol that has no readable numbers; `error` is a sentence on the cause."""

    error: str


class ProvidedSplit(Struct, frozen=True):
    """A split of a provider: from the day on, every `old` units become `new` units; None for an unreadable number."""

    symbol: str
    day: date
    new: Decimal | None
    old: Decimal | None


class FaultKind(StrEnum):
    """The kinds of faults in the data of one symbol and day."""

    MISSING = "missing"
    UNREADABLE = "unreadable"
    AMBIGUOUS = "ambiguous"
    NOT_POSITIVE = "not_positive"
    INCONSISTENT = "inconsistent"
    JUMP = "jump"
    SPLIT = "split"
    NEW_LEVEL = "new_level"


class BarFault(Struct, frozen=True):
    """A fault in the data of one symbol and day, with a text for people.

    The row was rejected, except for `NEW_LEVEL`: the row is stored, and an operator should look at it. `close` is the
    rejected close of a `JUMP`.
    """

    symbol: str
    kind: FaultKind
    text: str
    close: Decimal | None = None

    @property
    def is_stored(self) -> bool:
        """True if the row is stored despite the fault."""
        return self.kind is FaultKind.NEW_LEVEL


class ValidationResult(Struct, frozen=True):
    """The valid bar after validation (None if no bar exists), and the fault in the provided rows, if any."""

    bar: Bar | None
    fault: BarFault | None = None


class DailyClose(Struct, frozen=True):
    """A closing price on a day."""

    day: date
    price: Decimal


class ReferenceData(Struct, frozen=True):
    """The data against which a row is validated.

    The stored bar of the day, the last bar before the day, the last close that was rejected as a jump since then, the
    quote with the splits of the symbol, the limits of the asset, and the unit of its prices.
    """

    stored: Bar | None = None
    previous: Bar | None = None
    rejected: DailyClose | None = None
    quote: Quote | None = None
    limits: PriceLimits = PriceLimits()
    quote_unit: QuoteUnit = QuoteUnit.MONEY


def validate(
    symbol: str,
    day: date,
    rows: Sequence[ProvidedBar],
    reference: ReferenceData,
    *,
    source: str,
) -> ValidationResult:
    """Validate the rows of a symbol and day, and return the bar that is valid afterwards.

    A valid row with the stored numbers leaves the stored bar as it is; different numbers are the next revision. An
    invalid row, or none, leaves the stored bar as it is. A close has to be plausible after the newest accepted price
    before the close (see `plausibility`). A close beyond the asset's limit is rejected once. A second close at the
    level of the rejected one is stored with a `NEW_LEVEL` fault, so that a real jump cannot exclude a symbol forever. A
    close that contradicts a split is always rejected.
    """
    if not rows:
        return ValidationResult(
            reference.stored, None if reference.stored else BarFault(symbol, FaultKind.MISSING, "there is no bar")
        )
    fault = _row_fault(symbol, rows) or _price_fault(symbol, day, rows[0], reference)
    if fault and not fault.is_stored:
        return ValidationResult(reference.stored, fault)
    bar = replace(_to_bar(symbol, day, rows[0], source), quote_unit=reference.quote_unit)
    return ValidationResult(_revise(reference.stored, bar), fault)


def _row_fault(symbol: str, rows: Sequence[ProvidedBar]) -> BarFault | None:
    row = rows[0]
    if any(other != row for other in rows[1:]):
        return BarFault(symbol, FaultKind.AMBIGUOUS, "the source has several different bars")
    if isinstance(row, UnreadableRow):
        return BarFault(symbol, FaultKind.UNREADABLE, row.error)
    unreadable = [name for name in (*_PRICES, "volume") if getattr(row, name) is None]
    if unreadable:
        return BarFault(symbol, FaultKind.UNREADABLE, f"missing or unreadable: {', '.join(unreadable)}")
    not_positive = [f"{name} {plain(_number(row, name))}" for name in _PRICES if _number(row, name) <= ZERO]
    if not_positive:
        return BarFault(symbol, FaultKind.NOT_POSITIVE, f"not above zero: {', '.join(not_positive)}")
    prices = [_number(row, name) for name in _PRICES]
    if min(prices) != row.low or max(prices) != row.high or _number(row, "volume") < ZERO:
        numbers = ", ".join(f"{name} {plain(_number(row, name))}" for name in (*_PRICES, "volume"))
        return BarFault(symbol, FaultKind.INCONSISTENT, f"inconsistent numbers: {numbers}")
    return None


def _price_fault(symbol: str, day: date, row: ProvidedBar, reference: ReferenceData) -> BarFault | None:
    """Return the fault of a close that is implausible after the newest accepted price before the close."""
    exchange, limit = reference.limits.exchange, reference.limits.max_jump_percent
    close = PricePoint(_number(row, "close"), session_close(exchange, day))
    quoted, splits = quote_point(reference.quote), reference.quote.splits if reference.quote else ()
    accepted = newest(close_point(reference.previous, exchange), quoted if quoted and quoted.at <= close.at else None)
    fault = find_implausibility(close, accepted, splits, limit) if accepted else None
    if accepted is None or fault is None:
        return None
    text = f"close {plain(close.price)} is {plain(fault.change_percent)} % away from {plain(fault.expected)}"
    if fault.reason is HoldReason.SPLIT_CONTRADICTED:
        return BarFault(symbol, FaultKind.SPLIT, f"{text}, and contradicts a split")
    text, rejected = f"{text}, and no split explains it", reference.rejected
    if rejected and is_at_level(
        close, PricePoint(rejected.price, session_close(exchange, rejected.day)), splits, limit
    ):
        repeated = f"{text}; close {plain(rejected.price)} of {rejected.day.isoformat()} was rejected for the same jump"
        return BarFault(symbol, FaultKind.NEW_LEVEL, repeated)
    return BarFault(symbol, FaultKind.JUMP, text, close.price)


def _to_bar(symbol: str, day: date, row: ProvidedBar, source: str) -> Bar:
    """Return the bar of a valid row; an optional number that is not above zero is left out."""
    given = {name: getattr(row, name) or ZERO for name in _OPTIONAL}
    optional: dict[str, Any] = {name: number if number > ZERO else None for name, number in given.items()}
    numbers: dict[str, Any] = {name: _number(row, name) for name in (*_PRICES, "volume")}
    return Bar(symbol=symbol, day=day, **numbers, **optional, source=source, revision=1)


def _number(row: ProvidedBar, name: str) -> Decimal:
    number: Decimal = getattr(row, name)
    return number


def _revise(stored: Bar | None, bar: Bar) -> Bar:
    if stored is None:
        return bar
    if all(getattr(stored, name) == getattr(bar, name) for name in (*NUMBERS, "quote_unit")):
        return stored
    return replace(bar, revision=stored.revision + 1)


def bars_fingerprint(bars: Sequence[Bar]) -> str:
    """Return a fingerprint that differs for different bars of a day; a missing dividend adds nothing."""
    return fingerprint(
        [
            [bar.symbol, bar.revision, *(_text(getattr(bar, name)) for name in NUMBERS if name != "dividend")]
            + ([plain(bar.dividend)] if bar.dividend is not None else [])
            for bar in bars
        ],
    )


def _text(number: Decimal | None) -> str:
    return "" if number is None else plain(number)
