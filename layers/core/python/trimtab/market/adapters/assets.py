"""Assets in the table `market`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from trimtab.contracts import assets
from trimtab.contracts.assets import AssetRecord, Sector
from trimtab.kernel.errors import invalid_cursor
from trimtab.kernel.pages import Page
from trimtab.runtime.dynamodb.client import get_item
from trimtab.runtime.dynamodb.paging import Index, query_index
from trimtab.runtime.dynamodb.writes import put_item

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

BY_SECTOR = Index("by_sector", "by_sector_pk", "by_sector_sk")
_NO_SECTOR = "none"
_PARTS: Sequence[Sector | None] = (*Sector, None)
_PAGE = 100


class DynamoAssets(Struct, frozen=True):
    """The store of assets."""

    client: "DynamoDBClient"
    table: str

    def asset(self, symbol: str) -> AssetRecord | None:
        """See `AssetStore.asset`."""
        item = get_item(self.client, self.table, assets.asset_key(symbol))
        return assets.from_item(item) if item else None

    def put_asset(self, asset: AssetRecord) -> None:
        """See `AssetStore.put_asset`."""
        put_item(self.client, self.table, assets.to_item(asset))

    def list_assets(self, sector: Sector | None, *, limit: int, after: Any) -> Page[AssetRecord]:
        """See `AssetStore.list_assets`. The index is global: an asset shows up a moment after it was entered."""
        return self._all(limit, after) if sector is None else self._of(sector, limit, after)

    def active_symbols(self) -> list[str]:
        """See `ActiveAssets.active_symbols`."""
        symbols: list[str] = []
        for part in _PARTS:
            after, more = None, True
            while more:
                page = self._of(part, _PAGE, after)
                symbols += [it.symbol for it in page.items if it.active]
                after, more = page.next_position, page.next_position is not None
        return sorted(symbols)

    def _of(self, part: Sector | None, limit: int, after: Any) -> Page[AssetRecord]:
        partition = assets.sector_partition(part)
        page = query_index(self.client, self.table, BY_SECTOR, partition, limit=limit, after=after, newest_first=False)
        return Page([assets.from_item(item) for item in page.items], page.next_position)

    def _all(self, limit: int, after: Any) -> Page[AssetRecord]:
        """Sector after sector. A position names the sector, and where in it the next page starts."""
        names = [part or _NO_SECTOR for part in _PARTS]
        if after is not None and (not after or after[0] not in names):
            raise invalid_cursor()
        first, inside = (names.index(after[0]), after[1:] or None) if after else (0, None)
        items: list[AssetRecord] = []
        for name, part in list(zip(names, _PARTS, strict=True))[first:]:
            if len(items) == limit:
                return Page(items, [name])
            page = self._of(part, limit - len(items), inside)
            items += page.items
            if page.next_position:
                return Page(items, [name, *page.next_position])
            inside = None
        return Page(items, None)
