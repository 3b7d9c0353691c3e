"""The daily values of portfolios in the table `analytics`: one item a day, and one that says how far they go."""

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from trimtab.analytics.adapters import alert_rules
from trimtab.analytics.domain.series import Snapshot
from trimtab.analytics.service.ports import Series
from trimtab.contracts.events import pack_events
from trimtab.kernel.clock import format_time, parse_time
from trimtab.kernel.errors import Unprocessable
from trimtab.kernel.money import plain
from trimtab.runtime.dynamodb.batches import batch_delete, batch_put
from trimtab.runtime.dynamodb.client import Item, get_item
from trimtab.runtime.dynamodb.paging import Index, query_index, query_range
from trimtab.runtime.dynamodb.writes import put_item

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

VALUE, SERIES = "VALUE#", "SERIES"
VALUED = Index("valued", "valued_pk", "valued_sk")
SHARDS = "0123456789abcdef"
_FIRST = "0"
PAGE, MAX_PAGES = 1_000, 2_000
"""A page ends at a thousand days or at one megabyte: with five hundred holdings that is after some thirty days."""


def partition_of(tenant_id: str, portfolio_id: str) -> str:
    """Where everything about a portfolio stands."""
    return f"T#{tenant_id}#P#{portfolio_id}"


class DynamoSeries(Struct, frozen=True):
    """The store of daily values."""

    client: "DynamoDBClient"
    table: str

    def series(self, tenant_id: str, portfolio_id: str) -> Series | None:
        """See `SeriesStore.series`."""
        item = get_item(self.client, self.table, {"pk": partition_of(tenant_id, portfolio_id), "sk": SERIES})
        return _to_series(item) if item else None

    def snapshots(self, tenant_id: str, portfolio_id: str, first: date, last: date) -> list[Snapshot]:
        """See `SeriesStore.snapshots`."""
        partition, after, found = partition_of(tenant_id, portfolio_id), None, []
        between = (_at(first), _at(last))
        for _ in range(MAX_PAGES):
            page = query_range(self.client, self.table, partition, between, limit=PAGE, after=after, newest_first=False)
            found += [_to_snapshot(item) for item in page.items]
            after = page.next_position
            if after is None:
                return found
        raise Unprocessable("too_many_days", "These are more daily values than can be read: ask for a shorter window.")

    def last_before(self, tenant_id: str, portfolio_id: str, day: date) -> Snapshot | None:
        """See `SeriesStore.last_before`."""
        partition = partition_of(tenant_id, portfolio_id)
        between = (VALUE + _FIRST, _at(day))
        page = query_range(self.client, self.table, partition, between, limit=2)
        return next((found for item in page.items if (found := _to_snapshot(item)).day < day), None)

    def put_snapshots(self, tenant_id: str, portfolio_id: str, snapshots: Sequence[Snapshot]) -> None:
        """See `SeriesStore.put_snapshots`."""
        partition = partition_of(tenant_id, portfolio_id)
        batch_put(self.client, self.table, [_from_snapshot(partition, it) for it in snapshots])

    def remove_snapshots(self, tenant_id: str, portfolio_id: str, days: Sequence[date]) -> None:
        """See `SeriesStore.remove_snapshots`."""
        partition = partition_of(tenant_id, portfolio_id)
        batch_delete(self.client, self.table, [{"pk": partition, "sk": _at(day)} for day in days])

    def put(self, series: Series) -> None:
        """See `SeriesStore.put`."""
        put_item(self.client, self.table, _from_series(series))

    def open_series(self, shard: str, *, limit: int, after: Any) -> tuple[list[Series], Any]:
        """A page of the portfolios of a shard that are valued every night, and where the next one starts."""
        page = query_index(self.client, self.table, VALUED, _valued(shard), limit=limit, after=after)
        return [_to_series(item) for item in page.items], page.next_position


def _at(day: date) -> str:
    return VALUE + day.isoformat()


def _valued(shard: str) -> str:
    return f"VALUED#{shard}"


def _from_series(it: Series) -> Item:
    return {
        "pk": partition_of(it.tenant_id, it.portfolio_id),
        "sk": SERIES,
        "valued_pk": _valued(it.portfolio_id[-1]) if it.is_open else None,
        "valued_sk": f"{it.tenant_id}#{it.portfolio_id}" if it.is_open else None,
        "tenant_id": it.tenant_id,
        "first_day": it.first_day and it.first_day.isoformat(),
        "last_day": it.last_day and it.last_day.isoformat(),
        "updated_at": format_time(it.updated_at),
        **alert_rules.to_members(it.rules, it.episodes),
        "version": it.version,
        "events": pack_events(it.events),
    }


def _to_series(item: Item) -> Series:
    return Series(
        tenant_id=item["tenant_id"],
        portfolio_id=item["pk"].rpartition("#")[2],
        first_day=date.fromisoformat(item["first_day"]) if "first_day" in item else None,
        last_day=date.fromisoformat(item["last_day"]) if "last_day" in item else None,
        updated_at=parse_time(item["updated_at"]),
        is_open="valued_pk" in item,
        version=item["version"],
        rules=alert_rules.to_rules(item),
        episodes=alert_rules.to_episodes(item),
    )


def _from_snapshot(partition: str, it: Snapshot) -> Item:
    return {
        "pk": partition,
        "sk": _at(it.day),
        "value": plain(it.value),
        "cash": plain(it.cash),
        "flow": plain(it.flow),
        "weights": _packed(it.weights),
        "quantities": _packed(it.quantities),
        "prices": _packed(it.prices),
        "stale": ",".join(it.stale) or None,
        "at_trade_price": ",".join(it.at_trade_price) or None,
    }


def _to_snapshot(item: Item) -> Snapshot:
    return Snapshot(
        day=date.fromisoformat(item["sk"].removeprefix(VALUE)),
        value=Decimal(item["value"]),
        cash=Decimal(item["cash"]),
        flow=Decimal(item["flow"]),
        weights=_unpacked(item.get("weights")),
        quantities=_unpacked(item.get("quantities")),
        prices=_unpacked(item.get("prices")),
        stale=_names(item.get("stale")),
        at_trade_price=_names(item.get("at_trade_price")),
    )


def _packed(numbers: Mapping[str, Decimal]) -> str | None:
    """`AAPL=12.5,MSFT=3`: neither sign occurs in a symbol."""
    return ",".join(f"{name}={plain(number)}" for name, number in numbers.items()) or None


def _unpacked(text: str | None) -> dict[str, Decimal]:
    rows = (row.split("=") for row in (text or "").split(",") if row)
    return {name: Decimal(number) for name, number in rows}


def _names(text: str | None) -> tuple[str, ...]:
    return tuple((text or "").split(",")) if text else ()
