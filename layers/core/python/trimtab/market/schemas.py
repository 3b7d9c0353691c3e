"""Request bodies and responses of the market routes."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import Field

from trimtab.contracts.assets import MAX_JUMP_PERCENT, AssetRecord, Sector
from trimtab.contracts.bars import NUMBERS, Bar
from trimtab.contracts.fields import Identifier, Model, Percent, Quantity
from trimtab.contracts.messages import QuoteBody, Quotes
from trimtab.contracts.quotes import Quote
from trimtab.kernel.clock import format_time
from trimtab.kernel.money import plain
from trimtab.market.domain.quotes import NewQuote

JsonObject = dict[str, Any]


class StoreQuotes(Model):
    """Quotes of any symbols; the newest quote of each symbol wins."""

    quotes: Quotes


class EnterSplit(Model):
    """A split: every `per` units become `ratio` units. 4 per 1 is a split, 1 per 10 a reverse split."""

    ratio: Annotated[Quantity, Field(gt=0, le=1_000_000, examples=[4])]
    per: Annotated[Quantity, Field(gt=0, le=1_000_000)] = Decimal(1)


Name = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
AssetClass = Literal["stock", "etf", "fund", "bond", "crypto", "commodity", "other"]


class EnterAsset(Model):
    """The reference data of an asset. Daily bars are ingested for active assets only.

    No orders are sent for an asset that is halted or not active. A price further than `max_jump_percent` from the
    newest accepted price is held until it is confirmed; null accepts every price.
    """

    name: Annotated[Name, Field(examples=["Apple Inc."])]
    asset_class: AssetClass = "stock"
    sector: Sector | None = None
    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")] = "USD"
    exchange: Annotated[Identifier, Field(examples=["XNAS"])]
    active: bool = True
    halted: bool = False
    max_jump_percent: Annotated[Percent, Field(gt=0, le=1_000_000)] | None = MAX_JUMP_PERCENT

    def to_domain(self, symbol: str) -> AssetRecord:
        """Return the asset with the symbol."""
        return AssetRecord(
            symbol=symbol,
            name=self.name,
            asset_class=self.asset_class,
            sector=self.sector,
            currency=self.currency,
            exchange=self.exchange,
            active=self.active,
            halted=self.halted,
            max_jump_percent=self.max_jump_percent,
        )


class AssetView(Model):
    """An asset; `sector_code` is the code of the sector in the Global Industry Classification Standard (GICS)."""

    symbol: str
    name: str
    asset_class: str
    sector: Sector | None
    sector_code: int | None
    currency: str
    exchange: str
    active: bool
    halted: bool
    max_jump_percent: str | None
    version: int


class AssetList(Model):
    """A page of assets."""

    items: list[AssetView]
    next_cursor: str | None


class BarView(Model):
    """A daily bar of an asset, unadjusted for splits; `revision` counts corrections by the source, from 1.

    `dividend` is the cash dividend of one unit whose ex-day is this day.
    """

    day: str
    open: str
    high: str
    low: str
    close: str
    volume: str
    vwap: str | None
    pre_market: str | None
    after_hours: str | None
    dividend: str | None
    source: str
    revision: int


class BarList(Model):
    """A page of the bars of an asset, newest first."""

    items: list[BarView]
    next_cursor: str | None


class QuotesAcceptedView(Model):
    """The number of quotes accepted; a worker stores the quotes that are newer than the stored ones."""

    accepted: int


class SplitView(Model):
    """A split."""

    effective_at: str
    ratio: str
    per: str


class SplitsView(Model):
    """All splits of a symbol, ordered by time."""

    symbol: str
    splits: list[SplitView]


def to_domain(quotes: Sequence[QuoteBody]) -> list[NewQuote]:
    """Return the quotes of a body or a message."""
    return [NewQuote(quote.symbol, quote.price, quote.as_of, quote.source) for quote in quotes]


def splits_view(quote: Quote) -> JsonObject:
    """Return the body of a `SplitsView`."""
    splits = [
        {"effective_at": format_time(split.effective_at), "ratio": plain(split.new), "per": plain(split.old)}
        for split in quote.splits
    ]
    return {"symbol": quote.symbol, "splits": splits}


def asset_view(asset: AssetRecord) -> JsonObject:
    """Return the body of an `AssetView`."""
    return {
        "symbol": asset.symbol,
        "name": asset.name,
        "asset_class": asset.asset_class,
        "sector": asset.sector and asset.sector.value,
        "sector_code": asset.sector and asset.sector.code,
        "currency": asset.currency,
        "exchange": asset.exchange,
        "active": asset.active,
        "halted": asset.halted,
        "max_jump_percent": None if asset.max_jump_percent is None else plain(asset.max_jump_percent),
        "version": asset.version,
    }


def bar_view(bar: Bar) -> JsonObject:
    """Return the body of a `BarView`."""
    numbers = {name: getattr(bar, name) for name in NUMBERS}
    return {
        "day": bar.day.isoformat(),
        **{name: None if number is None else plain(number) for name, number in numbers.items()},
        "source": bar.source,
        "revision": bar.revision,
    }
