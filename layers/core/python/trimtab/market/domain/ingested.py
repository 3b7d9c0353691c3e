"""The mark of a day whose bars are stored: what it counts, when it is complete, and what it tells the platform."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal

from msgspec import field
from msgspec.structs import replace

from trimtab.contracts.bars import Bar
from trimtab.contracts.events import Event
from trimtab.contracts.records import Record
from trimtab.kernel import trading_days
from trimtab.kernel.ids import fingerprint
from trimtab.market.domain.bars import Fault, Wrong, fingerprint_of

SESSIONS_BACK = 10
MAX_LISTED = 20
MAX_TEXT = 200


class IngestedDay(Record, frozen=True, kw_only=True):
    """That all bars of a day are stored that could be.

    `wanted` tells for which assets; `bars` and `faults` tell states of the day apart, and `changed` counts the bars
    that replaced others. `jumps` are the closes that were refused because they jump. `events` is what this version of
    it produced. `version` counts from 1: each is a revision.
    """

    day: date
    version: int
    wanted: str
    bars: str
    faults: str
    stored: int
    changed: int
    wrong: int
    at: datetime
    jumps: Mapping[str, Decimal] = field(default_factory=dict)

    def is_complete(self, wanted: str) -> bool:
        """Whether these very assets were looked at and all is stored: then there is nothing to come back for."""
        return self.wanted == wanted and self.wrong == 0


class Untold(Record, frozen=True, kw_only=True):
    """The first day since which bars are stored that nobody was told of; None where everything is told.

    It is written before such a day is marked, so that whoever ends half-way leaves behind what is to be told.
    """

    since: date | None
    version: int
    at: datetime


def wanted_of(symbols: Sequence[str]) -> str:
    """Tells two sets of assets apart."""
    return fingerprint(sorted(symbols))


def sessions_up_to(last: date, count: int = SESSIONS_BACK) -> list[date]:
    """The last `count` sessions that are not after the day, oldest first."""
    sessions: list[date] = []
    day = last
    while len(sessions) < count:
        day = trading_days.on_or_before(day)
        sessions.append(day)
        day -= timedelta(days=1)
    return sessions[::-1]


def sessions_between(first: date, last: date) -> list[date]:
    """All sessions from the first day to the last, both included, oldest first."""
    days = (first + timedelta(days=number) for number in range((last - first).days + 1))
    return [day for day in days if trading_days.is_trading_day(day)]


def mark(
    before: IngestedDay | None,
    day: date,
    symbols: Sequence[str],
    *,
    bars: Sequence[Bar],
    faults: Sequence[Fault],
    at: datetime,
    tells: bool = True,
) -> IngestedDay:
    """The mark of the day with these bars: the one before where nothing is new, else its next version.

    Bars that are new produce `bars.ingested`, faults that are new one alert, however many they are; both depend on what
    is stored alone, so that a run that ended half-way and its repeat produce what one run would have. Where `tells` is
    false it has no events: whoever reads months of history tells once, and looks at the faults himself.
    """
    now = IngestedDay(
        day=day,
        version=before.version + 1 if before else 1,
        wanted=wanted_of(symbols),
        bars=fingerprint_of(bars),
        faults=fingerprint([[it.symbol, it.wrong.value, it.text] for it in faults]),
        stored=len(bars),
        changed=sum(bar.revision > 1 for bar in bars),
        wrong=sum(not it.is_stored for it in faults),
        at=at,
        jumps={it.symbol: it.close for it in faults if it.close is not None},
    )
    if before and (before.wanted, before.bars, before.faults) == (now.wanted, now.bars, now.faults):
        return before
    if not tells:
        return now
    events: list[Event] = []
    if has_new_bars(before, now):
        events.append(bars_ingested(day, now))
    if faults and (before is None or before.faults != now.faults):
        events.append(_alert(day, len(symbols), faults))
    return replace(now, events=tuple(events))


def bars_ingested(day: date, it: IngestedDay | None) -> Event:
    """The event that the bars of a day are there, and those of the days after it may be others."""
    stored, changed = (it.stored, it.changed) if it else (0, 0)
    return Event("bars.ingested", {"day": day.isoformat(), "stored": stored, "changed": changed})


def has_new_bars(before: IngestedDay | None, now: IngestedDay) -> bool:
    """Whether bars are stored that the mark before did not know."""
    return before is None or before.bars != now.bars


def _alert(day: date, symbols: int, faults: Sequence[Fault]) -> Event:
    kinds = {"Not stored": False, "Stored all the same": True}
    texts = [(title, [it for it in faults if it.is_stored is stored]) for title, stored in kinds.items()]
    counts = {kind.value: sum(it.wrong is kind for it in faults) for kind in Wrong}
    data = {
        "rule": "bars_quality",
        "title": f"Bars of {day.isoformat()}: {len(faults)} of {symbols} symbols have something wrong",
        "text": " ".join(f"{title}: {_listed(some)}." for title, some in texts if some),
        "portfolio_id": None,
        "user_id": None,
        "episode": f"bars-{day.isoformat()}",
        "details": {"day": day.isoformat(), **{name: str(number) for name, number in counts.items() if number}},
    }
    return Event("alert.raised", data)


def _listed(faults: Sequence[Fault]) -> str:
    listed = "; ".join(f"{it.symbol}: {it.text[:MAX_TEXT]}" for it in faults[:MAX_LISTED])
    return f"{listed}; and {len(faults) - MAX_LISTED} more" if len(faults) > MAX_LISTED else listed
