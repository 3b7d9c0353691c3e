"""The store of assets, in the table `market`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from trimtab.contracts.assets import AssetRecord, Sector, asset_key, sector_partition
from trimtab.kernel.errors import invalid_cursor
from trimtab.kernel.pages import Page
from trimtab.runtime.dynamodb.client import get_item
from trimtab.runtime.dynamodb.paging import Index, query_index
from trimtab.runtime.dynamodb.writes import put_records

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

BY_SECTOR = Index("by_sector", "by_sector_pk", "by_sector_sk")
_NO_SECTOR = "none"
_SECTORS: Sequence[Sector | None] = (*Sector, None)
_PAGE = 100


class AssetStore(Struct, frozen=True):
    """The store of assets."""

    client: "DynamoDBClient"
    table: str

    def asset(self, symbol: str) -> AssetRecord | None:
        """Return the asset, read consistently, None for an unknown symbol."""
        item = get_item(self.client, self.table, asset_key(symbol))
        return AssetRecord.from_item(item) if item else None

    def put_asset(self, asset: AssetRecord) -> None:
        """Write the asset on the version before; raises `ConditionFailed` if another version is stored."""
        put_records(self.client, self.table, asset)

    def list_assets(self, sector: Sector | None, *, limit: int, after: Any) -> Page[AssetRecord]:
        """Return a page of the sector's assets by symbol; without a sector, of all assets, sector after sector.

        The index is global, so a new asset appears with a short delay. Raises `Invalid` for a forged position.
        """
        return self._all_sectors(limit, after) if sector is None else self._sector(sector, limit, after)

    def active_assets(self) -> list[AssetRecord]:
        """Return all active assets, sorted by symbol."""
        assets: list[AssetRecord] = []
        for sector in _SECTORS:
            after, has_more = None, True
            while has_more:
                page = self._sector(sector, _PAGE, after)
                assets += [asset for asset in page.items if asset.active]
                after, has_more = page.next_position, page.next_position is not None
        return sorted(assets, key=lambda asset: asset.symbol)

    def _sector(self, sector: Sector | None, limit: int, after: Any) -> Page[AssetRecord]:
        partition = sector_partition(sector)
        page = query_index(self.client, self.table, BY_SECTOR, partition, limit=limit, after=after, newest_first=False)
        return page.map(AssetRecord.from_item)

    def _all_sectors(self, limit: int, after: Any) -> Page[AssetRecord]:
        """Return a page over all sectors; a position is the name of a sector and a position in the sector."""
        names = [sector or _NO_SECTOR for sector in _SECTORS]
        if after is not None and (not after or after[0] not in names):
            raise invalid_cursor()
        first, position = (names.index(after[0]), after[1:] or None) if after else (0, None)
        assets: list[AssetRecord] = []
        for name, sector in list(zip(names, _SECTORS, strict=True))[first:]:
            if len(assets) == limit:
                return Page(assets, [name])
            page = self._sector(sector, limit - len(assets), position)
            assets += page.items
            if page.next_position:
                return Page(assets, [name, *page.next_position])
            position = None
        return Page(assets, None)
