"""Alert rules and their episodes as members of the item of a series: two texts, absent where there is nothing."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from trimtab.analytics.domain.alerts import Episode, Rule, RuleKind
from trimtab.kernel.clock import format_time, parse_time
from trimtab.kernel.money import plain
from trimtab.runtime.dynamodb.client import Item


def to_members(rules: Sequence[Rule], episodes: Mapping[str, Episode]) -> dict[str, str | None]:
    """The members `rules` and `episodes`."""
    rows = [[it.rule_id, it.kind.value, it.threshold and plain(it.threshold)] for it in rules]
    columns = [[_plain(getattr(it, name)) for name in _EPISODE] for it in episodes.values()]
    return {"rules": _text(rows), "episodes": _text(columns)}


def to_rules(item: Item) -> tuple[Rule, ...]:
    """The rules of an item."""
    return tuple(
        Rule(rule_id, RuleKind(kind), threshold and Decimal(threshold))
        for rule_id, kind, threshold in json.loads(item.get("rules", "[]"))
    )


def to_episodes(item: Item) -> dict[str, Episode]:
    """The episodes of an item, by the id of their rule."""
    found = [_episode(row) for row in json.loads(item.get("episodes", "[]"))]
    return {it.rule_id: it for it in found}


_EPISODE = Episode.__struct_fields__
_TIMES = {"opened_at", "closed_at", "measured_at"}


def _episode(row: Sequence[Any]) -> Episode:
    members = dict(zip(_EPISODE, row, strict=True))
    times = {name: members[name] and parse_time(members[name]) for name in _TIMES}
    return Episode(**{**members, **times, "peak": members["peak"] and Decimal(members["peak"])})


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return format_time(value)
    return plain(value) if isinstance(value, Decimal) else value


def _text(rows: Sequence[Any]) -> str | None:
    return json.dumps(rows, separators=(",", ":")) if rows else None
