"""Clocks and times. A function at the edge calls the clock; everything below takes the time as a parameter."""

import re
from collections.abc import Callable
from datetime import UTC, datetime

from trimtab.kernel.errors import Invalid

Clock = Callable[[], datetime]

_RFC3339 = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2})(\.[0-9]+)?([Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
)


def utc_now() -> datetime:
    """Return the current time of the system in UTC."""
    return datetime.now(UTC)


def parse_time(text: str) -> datetime:
    """Return an RFC 3339 time with an offset, converted to UTC; raises `Invalid` for any other text.

    Seconds may have any number of decimals. Digits after the sixth are cut off, never rounded, so that the time read is
    not later than the time sent.

    >>> parse_time("2026-01-31T09:30:00.123456789Z").microsecond
    123456
    >>> parse_time("2026-01-31T10:30:00+01:00").isoformat()
    '2026-01-31T09:30:00+00:00'
    """
    found = _RFC3339.fullmatch(text)
    if not found:
        raise Invalid("invalid_time", "Use an RFC 3339 time with an offset, for example 2026-01-31T09:30:00Z.")
    try:
        seconds, fraction, offset = found.groups(default="")
        return datetime.fromisoformat(f"{seconds}{fraction[:7]}{offset}".upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise Invalid("invalid_time", "The date or the time of day does not exist.") from None


def format_time(instant: datetime) -> str:
    """Return a time as RFC 3339 in UTC with microseconds. The width is fixed: texts sort in the order of the times.

    >>> format_time(datetime(2026, 1, 31, 9, 30, tzinfo=UTC))
    '2026-01-31T09:30:00.000000Z'
    """
    return instant.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def to_epoch_milliseconds(instant: datetime) -> int:
    """Return the Unix timestamp of a time in milliseconds, rounded down.

    >>> to_epoch_milliseconds(datetime(1970, 1, 1, 0, 0, 1, 2999, tzinfo=UTC))
    1002
    """
    return int(instant.timestamp() * 1000)


def from_epoch_milliseconds(milliseconds: int) -> datetime:
    """Return the time of a Unix timestamp in milliseconds, the form of the timestamps of AWS messages."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
