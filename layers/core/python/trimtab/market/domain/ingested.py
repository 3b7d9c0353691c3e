"""The mark of a day whose bars are stored: what it counts, when it is complete, and what it tells the platform."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from trimtab.contracts.bars import Bar
from trimtab.contracts.events import Event
from trimtab.kernel import trading_days
from trimtab.kernel.ids import fingerprint
from trimtab.market.domain.bars import Fault, Wrong, fingerprint_of

SESSIONS_BACK = 10
MAX_LISTED = 20
MAX_TEXT = 200


@dataclass(frozen=True, slots=True)
class IngestedDay:
    """That all bars of a day are stored that could be.

    `wanted` tells for which assets; `bars` and `faults` tell states of the day apart, and `changed` counts the bars
    that replaced others. `events` is what this version of it produced. `version` counts from 1: each is a revision.
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
    events: tuple[Event, ...] = ()

    def covers(self, wanted: str) -> bool:
        """Whether these very assets were looked at."""
        return self.wanted == wanted

    def is_complete(self, wanted: str) -> bool:
        """Whether these very assets were looked at and nothing was wrong: then there is nothing to come back for."""
        return self.covers(wanted) and self.wrong == 0


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
    false nobody is alerted: whoever reads months of history looks at the faults himself.
    """
    now = IngestedDay(
        day=day,
        version=before.version + 1 if before else 1,
        wanted=wanted_of(symbols),
        bars=fingerprint_of(bars),
        faults=fingerprint([[it.symbol, it.wrong.value, it.text] for it in faults]),
        stored=len(bars),
        changed=sum(bar.revision > 1 for bar in bars),
        wrong=len(faults),
        at=at,
    )
    if before and (before.wanted, before.bars, before.faults) == (now.wanted, now.bars, now.faults):
        return before
    events: list[Event] = []
    if before is None or before.bars != now.bars:
        data = {"day": day.isoformat(), "stored": now.stored, "changed": now.changed}
        events.append(Event("bars.ingested", data))
    if tells and faults and (before is None or before.faults != now.faults):
        events.append(_alert(day, len(symbols), faults))
    return replace(now, events=tuple(events))


def _alert(day: date, symbols: int, faults: Sequence[Fault]) -> Event:
    listed = "; ".join(f"{it.symbol}: {it.text[:MAX_TEXT]}" for it in faults[:MAX_LISTED])
    more = f"; and {len(faults) - MAX_LISTED} more" if len(faults) > MAX_LISTED else ""
    counts = {kind.value: sum(it.wrong is kind for it in faults) for kind in Wrong}
    data = {
        "rule": "bars_quality",
        "title": f"Bars of {day.isoformat()}: {len(faults)} of {symbols} symbols have something wrong",
        "text": f"Not stored: {listed}{more}.",
        "portfolio_id": None,
        "user_id": None,
        "episode": f"bars-{day.isoformat()}",
        "facts": {"day": day.isoformat(), **{name: str(number) for name, number in counts.items() if number}},
    }
    return Event("alert.raised", data)
