"""A day's bars: what a source says is judged before it is stored, and what is wrong has a name."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from trimtab.contracts.bars import NUMBERS, Bar
from trimtab.contracts.quotes import Split
from trimtab.kernel.ids import fingerprint
from trimtab.kernel.money import CONTEXT, HUNDRED, ZERO, plain, to_percent

MAX_JUMP_PERCENT = Decimal(40)
_PRICES = ("open", "high", "low", "close")
_OPTIONAL = ("vwap", "pre_market", "after_hours")


class ProvidedBar(Struct, frozen=True):
    """What a source says of a symbol's day, unadjusted; None is what it does not say, or not in a readable form."""

    symbol: str
    open: Decimal | None = None
    high: Decimal | None = None
    low: Decimal | None = None
    close: Decimal | None = None
    volume: Decimal | None = None
    vwap: Decimal | None = None
    pre_market: Decimal | None = None
    after_hours: Decimal | None = None


class ProvidedSplit(Struct, frozen=True):
    """From the day on, every `old` units of the symbol are `new` units; None is what cannot be read."""

    symbol: str
    day: date
    new: Decimal | None
    old: Decimal | None


class Wrong(StrEnum):
    """What can be wrong with a symbol's day."""

    MISSING = "missing"
    UNREADABLE = "unreadable"
    AMBIGUOUS = "ambiguous"
    NOT_POSITIVE = "not_positive"
    INCONSISTENT = "inconsistent"
    JUMP = "jump"
    SPLIT = "split"
    NEW_LEVEL = "new_level"


class Fault(Struct, frozen=True):
    """What is wrong with a symbol's day, for a person to read. The row that it is about was not stored, unless it is at
    a new level: such a one is stored, and somebody should look at it. `close` is that of a jump."""

    symbol: str
    wrong: Wrong
    text: str
    close: Decimal | None = None

    @property
    def is_stored(self) -> bool:
        """Whether the row is stored all the same."""
        return self.wrong is Wrong.NEW_LEVEL


class Judged(Struct, frozen=True):
    """The bar that stands from now on (None where there is none), and what is wrong with what came."""

    bar: Bar | None
    fault: Fault | None = None


class Close(Struct, frozen=True):
    """What a symbol closed at on a day."""

    day: date
    price: Decimal


class Known(Struct, frozen=True):
    """What is known of a symbol when its day is judged: the stored bar, the last one before it, the close of the last
    jump since that was refused, its splits."""

    stored: Bar | None = None
    previous: Bar | None = None
    refused: Close | None = None
    splits: Sequence[Split] = ()


def judge(
    symbol: str,
    day: date,
    rows: Sequence[ProvidedBar],
    known: Known,
    *,
    source: str,
    max_jump_percent: Decimal | None = MAX_JUMP_PERCENT,
) -> Judged:
    """The symbol's bar of the day, if what came is good: unchanged where it says what is stored, else a new revision.

    A bad row, or none, changes nothing. `max_jump_percent` is how far a close may lie from the last one before it,
    splits allowed for; None lets every close pass. A close that lies further is refused once: a second one at its level
    is stored, and the fault says so, since a true jump must not keep a symbol out for ever.
    """
    if not rows:
        return Judged(known.stored, None if known.stored else Fault(symbol, Wrong.MISSING, "there is no bar"))
    fault = _fault(symbol, rows) or _jump(symbol, day, rows[0], known, max_jump_percent)
    if fault and not fault.is_stored:
        return Judged(known.stored, fault)
    return Judged(_revised(known.stored, _bar(symbol, day, rows[0], source)), fault)


def _fault(symbol: str, rows: Sequence[ProvidedBar]) -> Fault | None:
    row = rows[0]
    if any(other != row for other in rows[1:]):
        return Fault(symbol, Wrong.AMBIGUOUS, "several bars came that differ")
    unread = [name for name in (*_PRICES, "volume") if getattr(row, name) is None]
    if unread:
        return Fault(symbol, Wrong.UNREADABLE, f"no readable {', '.join(unread)}")
    given = [name for name in (*_PRICES, *_OPTIONAL) if getattr(row, name) is not None]
    low = [f"{name} {plain(getattr(row, name))}" for name in given if getattr(row, name) <= ZERO]
    if low:
        return Fault(symbol, Wrong.NOT_POSITIVE, f"not above zero: {', '.join(low)}")
    prices = [_number(row, name) for name in _PRICES]
    if min(prices) != row.low or max(prices) != row.high or _number(row, "volume") < ZERO:
        said = ", ".join(f"{name} {plain(_number(row, name))}" for name in (*_PRICES, "volume"))
        return Fault(symbol, Wrong.INCONSISTENT, f"these cannot be of one day: {said}")
    return None


def needs_splits(row: ProvidedBar, previous: Bar | None, max_jump_percent: Decimal | None = MAX_JUMP_PERCENT) -> bool:
    """Whether the close jumps so far that only a split could explain it: then, and only then, splits are read."""
    if previous is None or max_jump_percent is None or row.close is None or row.close <= ZERO:
        return False
    return _moved_percent(previous.close, row.close) > max_jump_percent


def _jump(symbol: str, day: date, row: ProvidedBar, known: Known, most: Decimal | None) -> Fault | None:
    previous = known.previous
    if not needs_splits(row, previous, most) or previous is None or most is None:
        return None
    close, refused = _number(row, "close"), known.refused
    moved = _moved_since(Close(previous.day, previous.close), day, close, known.splits)
    if moved <= most:
        return None
    text = f"close {plain(close)} is {plain(moved)} % away from {plain(previous.close)}, and no split explains it"
    if refused and _moved_since(refused, day, close, known.splits) <= most:
        again = f"{text}; {plain(refused.price)} of {refused.day.isoformat()} was refused for that"
        return Fault(symbol, Wrong.NEW_LEVEL, again)
    return Fault(symbol, Wrong.JUMP, text, close)


def _moved_since(before: Close, day: date, close: Decimal, splits: Sequence[Split]) -> Decimal:
    """How many percent a close lies away from an earlier one, splits allowed for."""
    expected = before.price
    for split in splits:
        if before.day < split.effective_at.date() <= day:
            expected = CONTEXT.divide(CONTEXT.multiply(expected, split.old), split.new)
    return _moved_percent(expected, close)


def _moved_percent(before: Decimal, after: Decimal) -> Decimal:
    return to_percent(CONTEXT.divide(CONTEXT.multiply(abs(after - before), HUNDRED), before))


def _bar(symbol: str, day: date, row: ProvidedBar, source: str) -> Bar:
    optional = {name: getattr(row, name) for name in _OPTIONAL}
    numbers = {name: _number(row, name) for name in (*_PRICES, "volume")}
    return Bar(symbol=symbol, day=day, **numbers, **optional, source=source, revision=1)


def _number(row: ProvidedBar, name: str) -> Decimal:
    number: Decimal = getattr(row, name)
    return number


def _revised(stored: Bar | None, bar: Bar) -> Bar:
    if stored is None:
        return bar
    if all(getattr(stored, name) == getattr(bar, name) for name in NUMBERS):
        return stored
    return replace(bar, revision=stored.revision + 1)


def fingerprint_of(bars: Sequence[Bar]) -> str:
    """Tells two states of a day's bars apart."""
    return fingerprint(
        [[it.symbol, it.revision, *(_text(getattr(it, name)) for name in NUMBERS)] for it in bars],
    )


def _text(number: Decimal | None) -> str:
    return "" if number is None else plain(number)
