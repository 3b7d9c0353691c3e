"""The bodies that the market routes read, and the answers that they give."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import Field

from trimtab.contracts.assets import AssetRecord, Sector
from trimtab.contracts.bars import NUMBERS, Bar
from trimtab.contracts.fields import Identifier, Model, Quantity
from trimtab.contracts.messages import QuoteBody, Quotes
from trimtab.contracts.quotes import Quote
from trimtab.kernel.clock import format_time
from trimtab.kernel.money import plain
from trimtab.market.domain.quotes import NewQuote

Answer = dict[str, Any]


class StoreQuotes(Model):
    """Quotes of any symbols; the newest of each wins."""

    quotes: Quotes


class EnterSplit(Model):
    """From the day on, every `per` units are `ratio` units: 4 per 1 is a split, 1 per 10 a reverse split."""

    ratio: Annotated[Quantity, Field(gt=0, le=1_000_000, examples=[4])]
    per: Annotated[Quantity, Field(gt=0, le=1_000_000)] = Decimal(1)


Name = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
AssetClass = Literal["stock", "etf", "fund", "bond", "crypto", "commodity", "other"]


class EnterAsset(Model):
    """What is known of an asset. Without a sector it has none; one that is not active gets no bars any more."""

    name: Annotated[Name, Field(examples=["Apple Inc."])]
    asset_class: AssetClass = "stock"
    sector: Sector | None = None
    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")] = "USD"
    exchange: Annotated[Identifier, Field(examples=["XNAS"])]
    active: bool = True

    def to_domain(self, symbol: str) -> AssetRecord:
        """The asset of that symbol."""
        return AssetRecord(
            symbol=symbol,
            name=self.name,
            asset_class=self.asset_class,
            sector=self.sector,
            currency=self.currency,
            exchange=self.exchange,
            active=self.active,
            version=0,
        )


class AssetView(Model):
    """An asset; `sector_code` is the number of its sector in the Global Industry Classification Standard."""

    symbol: str
    name: str
    asset_class: str
    sector: Sector | None
    sector_code: int | None
    currency: str
    exchange: str
    active: bool
    version: int


class AssetList(Model):
    """A page of assets."""

    items: list[AssetView]
    next_cursor: str | None


class BarView(Model):
    """A trading day of an asset, unadjusted; `revision` counts the corrections of its source."""

    day: str
    open: str
    high: str
    low: str
    close: str
    volume: str
    vwap: str | None
    pre_market: str | None
    after_hours: str | None
    source: str
    revision: int


class BarList(Model):
    """A page of an asset's bars, newest first."""

    items: list[BarView]
    next_cursor: str | None


class QuotesAcceptedView(Model):
    """How many quotes a worker will store where they are newer than what is known."""

    accepted: int


class SplitView(Model):
    """A split."""

    effective_at: str
    ratio: str
    per: str


class SplitsView(Model):
    """All splits of a symbol, by time."""

    symbol: str
    splits: list[SplitView]


def to_domain(quotes: Sequence[QuoteBody]) -> list[NewQuote]:
    """The quotes of a body or a message."""
    return [NewQuote(it.symbol, it.price, it.as_of, it.source) for it in quotes]


def splits_view(it: Quote) -> Answer:
    """See `SplitsView`."""
    return {
        "symbol": it.symbol,
        "splits": [
            {"effective_at": format_time(each.effective_at), "ratio": plain(each.new), "per": plain(each.old)}
            for each in it.splits
        ],
    }


def asset_view(it: AssetRecord) -> Answer:
    """See `AssetView`."""
    return {
        "symbol": it.symbol,
        "name": it.name,
        "asset_class": it.asset_class,
        "sector": it.sector and it.sector.value,
        "sector_code": it.sector and it.sector.code,
        "currency": it.currency,
        "exchange": it.exchange,
        "active": it.active,
        "version": it.version,
    }


def bar_view(it: Bar) -> Answer:
    """See `BarView`."""
    numbers = {name: getattr(it, name) for name in NUMBERS}
    return {
        "day": it.day.isoformat(),
        **{name: None if number is None else plain(number) for name, number in numbers.items()},
        "source": it.source,
        "revision": it.revision,
    }
