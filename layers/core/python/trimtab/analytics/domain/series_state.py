"""The state of a portfolio's series of daily values, its alert rules and their episodes; and its stored form."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

import msgspec
from msgspec import field
from msgspec.structs import replace

from trimtab.analytics.domain.alerts import AlertKind, AlertRule, Episode
from trimtab.analytics.domain.daily_value import partition_of
from trimtab.contracts.records import Record
from trimtab.contracts.stored_form import UnknownForm, form_version, to_attributes
from trimtab.kernel.clock import format_time, parse_time

SORT_KEY = "SERIES"
SHARDS = "0123456789abcdef"
"""The shards of the index `valued`: the last digit of a portfolio id."""


class SeriesState(Record, frozen=True, kw_only=True):
    """The valued days of a portfolio, from `first_day` to `last_day` (None before the first valuation).

    The days from `valued_from` on follow from version `valued_version` of the portfolio or a later one, or are being
    computed from that version (0 and None: unknown). `is_open` while the portfolio is valued every night. `episodes`
    holds the newest episode of each rule by rule id.
    `unknown_rules` are stored rules of a kind that this release does not know: kept as stored, never evaluated.
    """

    tenant_id: str
    portfolio_id: str
    updated_at: datetime
    first_day: date | None = None
    last_day: date | None = None
    valued_version: int = 0
    valued_from: date | None = None
    is_open: bool = True
    rules: tuple[AlertRule, ...] = ()
    unknown_rules: tuple[Mapping[str, Any], ...] = ()
    episodes: Mapping[str, Episode] = field(default_factory=dict)
    version: int = 0

    def covers(self, version: int, since: date | None) -> bool:
        """Return True where a change from `since` on (None: of no past day) up to the portfolio's version is valued."""
        return self.valued_version == version and (since is None or _is_from(self.valued_from, since))

    def cover(self, version: int, first: date) -> "SeriesState":
        """Return the state after a computation of the days from `first` on at the portfolio's version."""
        if self.covers(version, first):
            return self
        return replace(self, valued_version=version, valued_from=first)

    def to_item(self) -> dict[str, Any]:
        """Return the plain values of the item; the index `valued` lists the open portfolios."""
        return {
            "pk": partition_of(self.tenant_id, self.portfolio_id),
            "sk": SORT_KEY,
            **self.record_attributes(),
            "valued_pk": valued_partition(self.portfolio_id[-1]) if self.is_open else None,
            "valued_sk": f"{self.tenant_id}#{self.portfolio_id}" if self.is_open else None,
            "tenant_id": self.tenant_id,
            "first_day": self.first_day and self.first_day.isoformat(),
            "last_day": self.last_day and self.last_day.isoformat(),
            "valued_version": self.valued_version or None,
            "valued_from": self.valued_from and self.valued_from.isoformat(),
            "updated_at": format_time(self.updated_at),
            "rules": [*map(to_attributes, self.rules), *self.unknown_rules] or None,
            "episodes": [*map(to_attributes, self.episodes.values())] or None,
        }

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> "SeriesState":
        """Return the state of an item, without the events of its last write; raises `UnknownForm`."""
        match form_version(item):
            case 1:
                known, unknown = _read_rules(item.get("rules", ()))
                episodes = [_read_episode(row) for row in item.get("episodes", ())]
                return cls(
                    tenant_id=item["tenant_id"],
                    portfolio_id=item["pk"].rpartition("#")[2],
                    first_day=date.fromisoformat(item["first_day"]) if "first_day" in item else None,
                    last_day=date.fromisoformat(item["last_day"]) if "last_day" in item else None,
                    valued_version=item.get("valued_version", 0),
                    valued_from=date.fromisoformat(item["valued_from"]) if "valued_from" in item else None,
                    updated_at=parse_time(item["updated_at"]),
                    is_open="valued_pk" in item,
                    version=item["version"],
                    rules=known,
                    unknown_rules=unknown,
                    episodes={episode.rule_id: episode for episode in episodes},
                )
            case version:
                raise UnknownForm("series state", version)


def _is_from(first: date | None, since: date) -> bool:
    return first is not None and first <= since


def valued_partition(shard: str) -> str:
    """Return the partition of the index `valued` for one shard."""
    return f"VALUED#{shard}"


def _read_rules(
    rows: Sequence[Mapping[str, Any]],
) -> tuple[tuple[AlertRule, ...], tuple[Mapping[str, Any], ...]]:
    """Return the rules of the kinds that this release knows, and the rows of the others as stored."""
    kinds = {kind.value for kind in AlertKind}
    known = tuple(msgspec.convert(row, AlertRule) for row in rows if row["kind"] in kinds)
    return known, tuple(row for row in rows if row["kind"] not in kinds)


def _read_episode(row: Mapping[str, Any]) -> Episode:
    """Return the episode of a row; DynamoDB returns a number inside a list as a Decimal."""
    return msgspec.convert({**row, "number": int(row.get("number", 0))}, Episode)
