"""Assets and their daily bars: read by all tenants, written by the platform."""

from datetime import date
from typing import Any

from msgspec import Struct

from trimtab.contracts.assets import AssetRecord, QuoteUnit, Sector
from trimtab.contracts.bars import Bar
from trimtab.kernel.errors import Conflict, Invalid, not_found
from trimtab.kernel.pages import Page
from trimtab.kernel.retry import retry_on_conflict
from trimtab.market.adapters.assets import AssetStore
from trimtab.market.adapters.bars import BarStore
from trimtab.market.adapters.quotes import QuoteStore
from trimtab.market.domain.assets import enter_asset


class AssetService(Struct, frozen=True):
    """Enters and reads assets, and reads their daily bars."""

    store: AssetStore
    bars: BarStore
    quotes: QuoteStore

    def enter(self, asset: AssetRecord) -> AssetRecord:
        """Store the asset and return its current version; an asset with equal data is not written again.

        The next quote is judged against the entered limits. Raises `Conflict` for another unit of stored prices.
        """

        def attempt() -> AssetRecord:
            stored = self.store.asset(asset.symbol)
            if asset.quote_unit is not (stored.quote_unit if stored else QuoteUnit.MONEY):
                self._require_unpriced(asset.symbol)
            after = enter_asset(stored, asset)
            if after is not stored:
                self.store.put_asset(after)
            return after

        entered = retry_on_conflict(attempt)
        retry_on_conflict(lambda: self.quotes.clear_range(asset.symbol))
        return entered

    def _require_unpriced(self, symbol: str) -> None:
        quote, _ = self.quotes.quote_and_asset(symbol)
        if quote.price is not None or self.bars.last_bar(symbol, date.max) is not None:
            raise Conflict("quote_unit_fixed", f"{symbol} has prices in another `quote_unit`. Use another symbol.")

    def get(self, symbol: str) -> AssetRecord:
        """Return the asset; raises `NotFound` for an unknown symbol."""
        asset = self.store.asset(symbol)
        if asset is None:
            raise not_found(f"asset {symbol}")
        return asset

    def list(self, sector: Sector | None, *, limit: int, after: Any) -> Page[AssetRecord]:
        """Return a page of the assets of a sector, or of all assets."""
        return self.store.list_assets(sector, limit=limit, after=after)

    def list_bars(self, symbol: str, first: date, last: date, *, limit: int, after: Any) -> Page[Bar]:
        """Return a page of the bars of an asset, newest first.

        Raises `Invalid` if `first` is after `last`, and `NotFound` for an unknown symbol.
        """
        if first > last:
            raise Invalid("invalid_range", "`from` must not be after `to`.")
        self.get(symbol)
        return self.bars.page_of_bars(symbol, first, last, limit=limit, after=after)
