"""The daily values of portfolios in the table `analytics`: one item per day, and one with the state of the series."""

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from trimtab.analytics.domain.daily_value import DAY_PREFIX, DailyValue, day_key, partition_of
from trimtab.analytics.domain.series_state import SORT_KEY, SeriesState, valued_partition
from trimtab.kernel.errors import Unprocessable
from trimtab.runtime.dynamodb.batches import batch_delete, batch_put
from trimtab.runtime.dynamodb.client import get_item
from trimtab.runtime.dynamodb.paging import Index, query_index, query_range
from trimtab.runtime.dynamodb.writes import put_records

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

VALUED = Index("valued", "valued_pk", "valued_sk")
_FIRST = DAY_PREFIX + "0"
PAGE, MAX_PAGES = 1_000, 2_000
"""A page ends at a thousand days or at one megabyte: with five hundred holdings after about thirty days."""


class SeriesStore(Struct, frozen=True):
    """Reads and writes series states and daily values. Reads are consistent."""

    client: "DynamoDBClient"
    table: str

    def state(self, tenant_id: str, portfolio_id: str) -> SeriesState | None:
        """Return the state of a series; None before the first write."""
        item = get_item(self.client, self.table, {"pk": partition_of(tenant_id, portfolio_id), "sk": SORT_KEY})
        return SeriesState.from_item(item) if item else None

    def put(self, state: SeriesState) -> None:
        """Store the state on the version before; raises `ConditionFailed` where another version is stored."""
        put_records(self.client, self.table, state)

    def daily_values(self, tenant_id: str, portfolio_id: str, first: date, last: date) -> list[DailyValue]:
        """Return the values from `first` to `last`, both inclusive, by day.

        Raises `Unprocessable` for more pages than one request may read.
        """
        partition, after, found = partition_of(tenant_id, portfolio_id), None, []
        between = (day_key(first), day_key(last))
        for _ in range(MAX_PAGES):
            page = query_range(self.client, self.table, partition, between, limit=PAGE, after=after, newest_first=False)
            found += [DailyValue.from_item(item) for item in page.items]
            after = page.next_position
            if after is None:
                return found
        raise Unprocessable("too_many_days", "Too many daily values for one request. Choose a shorter window.")

    def last_before(self, tenant_id: str, portfolio_id: str, day: date) -> DailyValue | None:
        """Return the newest value of a day before `day`."""
        between = (_FIRST, day_key(day))
        page = query_range(self.client, self.table, partition_of(tenant_id, portfolio_id), between, limit=2)
        return next((found for item in page.items if (found := DailyValue.from_item(item)).day < day), None)

    def put_daily_values(self, tenant_id: str, portfolio_id: str, values: Sequence[DailyValue]) -> None:
        """Store each value at its day."""
        batch_put(self.client, self.table, [value.to_item(tenant_id, portfolio_id) for value in values])

    def remove_daily_values(self, tenant_id: str, portfolio_id: str, days: Sequence[date]) -> None:
        """Remove the values of the days."""
        partition = partition_of(tenant_id, portfolio_id)
        batch_delete(self.client, self.table, [{"pk": partition, "sk": day_key(day)} for day in days])

    def list_open(self, shard: str, *, limit: int, after: Any) -> tuple[list[SeriesState], Any]:
        """Return a page of a shard's open series, and the position of the next page (None at the end)."""
        page = query_index(self.client, self.table, VALUED, valued_partition(shard), limit=limit, after=after)
        return [SeriesState.from_item(item) for item in page.items], page.next_position
