"""Assets and their daily bars: read by everyone, written by the platform."""

from datetime import date
from typing import Any

from msgspec import Struct

from trimtab.contracts.assets import AssetRecord, Sector
from trimtab.contracts.bars import Bar
from trimtab.kernel.errors import Invalid, not_found
from trimtab.kernel.pages import Page
from trimtab.kernel.retry import retrying_on_conflict
from trimtab.market.domain.assets import entered
from trimtab.market.service.ports import AssetStore, BarPages


class Assets(Struct, frozen=True):
    """What the platform knows of assets."""

    store: AssetStore
    bars: BarPages

    def enter(self, asset: AssetRecord) -> AssetRecord:
        """The asset as it stands now; the same again changes nothing."""

        def attempt() -> AssetRecord:
            stored = self.store.asset(asset.symbol)
            after = entered(stored, asset)
            if after is not stored:
                self.store.put_asset(after)
            return after

        return retrying_on_conflict(attempt)

    def get(self, symbol: str) -> AssetRecord:
        """The asset; `NotFound` where there is none."""
        found = self.store.asset(symbol)
        if found is None:
            raise not_found("asset")
        return found

    def list(self, sector: Sector | None, *, limit: int, after: Any) -> Page[AssetRecord]:
        """A page of assets."""
        return self.store.list_assets(sector, limit=limit, after=after)

    def list_bars(self, symbol: str, first: date, last: date, *, limit: int, after: Any) -> Page[Bar]:
        """A page of the asset's bars, newest first; `NotFound` where there is no such asset."""
        if first > last:
            raise Invalid("invalid_range", "Give a first day (from) that is not after the last one (to).")
        self.get(symbol)
        return self.bars.page_of_bars(symbol, first, last, limit=limit, after=after)
