"""Time is a parameter: a clock is called at the edge, and the instants it gives are passed down."""

import re
from collections.abc import Callable
from datetime import UTC, datetime

from trimtab.kernel.errors import Invalid

Clock = Callable[[], datetime]

_RFC3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?(?:[Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
)


def utc_now() -> datetime:
    """The system's clock, in UTC."""
    return datetime.now(UTC)


def parse_time(text: str) -> datetime:
    """An RFC 3339 time with its offset, as UTC; `Invalid` for everything else."""
    if not _RFC3339.fullmatch(text):
        raise Invalid("invalid_time", "Give the time as RFC 3339 with an offset, for example 2026-01-31T09:30:00Z.")
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise Invalid("invalid_time", "This date or time of day does not exist.") from None


def format_time(instant: datetime) -> str:
    """RFC 3339 in UTC with microseconds: fixed width, so that texts sort as the instants do."""
    return instant.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def from_epoch_milliseconds(milliseconds: int) -> datetime:
    """The instant of a Unix time in milliseconds, as AWS stamps messages with it."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
