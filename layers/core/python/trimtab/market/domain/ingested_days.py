"""Records of ingested days: the counts of a day, its completeness, and the events of the ingestion."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from msgspec import field
from msgspec.structs import replace

from trimtab.contracts.bars import Bar
from trimtab.contracts.events import PLATFORM, Event
from trimtab.contracts.records import Record
from trimtab.contracts.stored_form import UnknownForm, form_version, from_attributes, to_attributes
from trimtab.kernel import trading_days
from trimtab.kernel.ids import fingerprint
from trimtab.market.domain.bars import BarFault, FaultKind, bars_fingerprint

SESSIONS_BACK = 10
MAX_LISTED = 20
MAX_TEXT = 200


class IngestedDay(Record, frozen=True, kw_only=True):
    """The record that all valid bars of a day are stored. Each version is a revision of the day.

    `assets`, `bars` and `faults` are fingerprints of the assets asked for, the stored bars and the faults. `stored`
    counts the bars, `changed` the bars beyond their first revision, `rejected` the missing or rejected rows. `jumps`
    are the closes by symbol that were rejected as jumps.
    """

    day: date
    assets: str
    bars: str
    faults: str
    stored: int
    changed: int
    rejected: int
    updated_at: datetime
    jumps: Mapping[str, Decimal] = field(default_factory=dict)

    def is_complete(self, assets: str) -> bool:
        """Return True if the day needs no further run: ingested for these assets, and nothing missing or rejected."""
        return self.assets == assets and self.rejected == 0

    def to_item(self) -> dict[str, Any]:
        """Return the record as plain values, with the keys of the table `market`."""
        return {
            **to_attributes(self),
            **ingested_day_key(self.day),
            "tenant_id": PLATFORM,
            **self.record_attributes(),
        }

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> "IngestedDay":
        """Return the record of an item, without events; raises `UnknownForm` for an item of a newer release."""
        match form_version(item):
            case 1:
                return from_attributes({**item, "events": ()}, cls)
            case version:
                raise UnknownForm("ingested day", version)


class UnannouncedDays(Record, frozen=True, kw_only=True):
    """The first day with bars that no event has announced; None if all bars are announced.

    The record is written before the record of the day, so that an interrupted backfill leaves the announcement to the
    next run.
    """

    since: date | None
    updated_at: datetime

    def to_item(self) -> dict[str, Any]:
        """Return the record as plain values, with the keys of the table `market`."""
        return {**to_attributes(self), **unannounced_days_key(), "tenant_id": PLATFORM, **self.record_attributes()}

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> "UnannouncedDays":
        """Return the record of an item, without events; raises `UnknownForm` for an item of a newer release."""
        match form_version(item):
            case 1:
                return from_attributes({"since": None, **item, "events": ()}, cls)
            case version:
                raise UnknownForm("unannounced days", version)


def ingested_day_key(day: date) -> dict[str, str]:
    """Return the key of the record of a day in the table `market`."""
    return {"pk": "INGEST", "sk": f"DAY#{day.isoformat()}"}


def unannounced_days_key() -> dict[str, str]:
    """Return the key of the record of unannounced days in the table `market`."""
    return {"pk": "INGEST", "sk": "UNANNOUNCED"}


def assets_fingerprint(symbols: Sequence[str]) -> str:
    """Return a fingerprint that differs for different sets of symbols."""
    return fingerprint(sorted(symbols))


def sessions_up_to(last: date, count: int = SESSIONS_BACK) -> list[date]:
    """Return the last `count` sessions on or before a day, oldest first.

    >>> [day.day for day in sessions_up_to(date(2026, 11, 27), 2)]
    [25, 27]
    """
    sessions: list[date] = []
    day = last
    while len(sessions) < count:
        day = trading_days.on_or_before(day)
        sessions.append(day)
        day -= timedelta(days=1)
    return sessions[::-1]


def sessions_between(first: date, last: date) -> list[date]:
    """Return all sessions from the first to the last day, inclusive, oldest first."""
    days = (first + timedelta(days=number) for number in range((last - first).days + 1))
    return [day for day in days if trading_days.is_trading_day(day)]


def record_day(
    before: IngestedDay | None,
    day: date,
    symbols: Sequence[str],
    *,
    bars: Sequence[Bar],
    faults: Sequence[BarFault],
    now: datetime,
    publish: bool = True,
) -> IngestedDay:
    """Return the record of a day with these bars: the record before if nothing is new, else the next version.

    New bars produce `bars.ingested`; new faults produce a single alert. Events depend only on what is stored: an
    interrupted run and its repetition produce the events of an uninterrupted run. With `publish` False the record has
    no events, as in a backfill, which publishes one event for all days.
    """
    after = IngestedDay(
        day=day,
        version=before.version + 1 if before else 1,
        assets=assets_fingerprint(symbols),
        bars=bars_fingerprint(bars),
        faults=fingerprint([[fault.symbol, fault.kind.value, fault.text] for fault in faults]),
        stored=len(bars),
        changed=sum(bar.revision > 1 for bar in bars),
        rejected=sum(not fault.is_stored for fault in faults),
        updated_at=now,
        jumps={fault.symbol: fault.close for fault in faults if fault.close is not None},
    )
    if before and (before.assets, before.bars, before.faults) == (after.assets, after.bars, after.faults):
        return before
    if not publish:
        return after
    events: list[Event] = []
    if has_new_bars(before, after):
        events.append(bars_ingested(day, after))
    if faults and (before is None or before.faults != after.faults):
        events.append(_alert(day, len(symbols), faults))
    return replace(after, events=tuple(events))


def bars_ingested(day: date, record: IngestedDay | None) -> Event:
    """Return the event that the bars of a day are stored; the bars of later days may have changed as well."""
    stored, changed = (record.stored, record.changed) if record else (0, 0)
    return Event("bars.ingested", {"day": day.isoformat(), "stored": stored, "changed": changed})


def has_new_bars(before: IngestedDay | None, after: IngestedDay) -> bool:
    """Return True if the bars of a day differ from the bars of the record before."""
    return before is None or before.bars != after.bars


def _alert(day: date, symbols: int, faults: Sequence[BarFault]) -> Event:
    titles = {"Rejected": False, "Stored despite a fault": True}
    texts = [(title, [fault for fault in faults if fault.is_stored is stored]) for title, stored in titles.items()]
    counts = {kind.value: sum(fault.kind is kind for fault in faults) for kind in FaultKind}
    data = {
        "rule": "bars_quality",
        "title": f"Bars of {day.isoformat()}: faults in {len(faults)} of {symbols} symbols",
        "text": " ".join(f"{title}: {_list(listed)}." for title, listed in texts if listed),
        "portfolio_id": None,
        "user_id": None,
        "episode": f"bars-{day.isoformat()}",
        "details": {"day": day.isoformat(), **{name: str(number) for name, number in counts.items() if number}},
    }
    return Event("alert.raised", data)


def _list(faults: Sequence[BarFault]) -> str:
    listed = "; ".join(f"{fault.symbol}: {fault.text[:MAX_TEXT]}" for fault in faults[:MAX_LISTED])
    return f"{listed}; and {len(faults) - MAX_LISTED} more" if len(faults) > MAX_LISTED else listed
