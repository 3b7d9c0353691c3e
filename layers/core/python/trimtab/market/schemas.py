"""Request bodies and responses of the market routes."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import Field, StrictBool, model_validator

from trimtab.contracts.assets import MAX_JUMP_PERCENT, AssetRecord, QuoteUnit, Sector
from trimtab.contracts.bars import NUMBERS, Bar
from trimtab.contracts.fields import Identifier, Model, Percent, Quantity, Whole
from trimtab.contracts.messages import QuoteBody, Quotes
from trimtab.contracts.quotes import UNNAMED, AcceptedPrice, HeldPrice, HoldReason, Quote
from trimtab.kernel.clock import format_time
from trimtab.kernel.money import FINEST_PLACES, PRICE_UNIT, QUANTITY_PLACES, plain, to_places
from trimtab.market.domain.quotes import NewQuote
from trimtab.market.service.quotes import QuotePreview

JsonObject = dict[str, Any]


class StoreQuotes(Model):
    """Quotes of any symbols; the newest quote of each symbol wins."""

    quotes: Quotes
    """The quotes, 1 to 500, of any symbols."""


class EnterSplit(Model):
    """A split: every `per` units become `ratio` units. 4 per 1 is a split, 1 per 10 a reverse split."""

    ratio: Annotated[Quantity, Field(gt=0, le=1_000_000, examples=[4])]
    """The number of units after the split for every `per` units before; above 0, up to 1,000,000. Example: `4`"""
    per: Annotated[Quantity, Field(gt=0, le=1_000_000)] = Decimal(1)
    """The number of units before the split; above 0, up to 1,000,000. Default: 1. Example: `1`"""


Text = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]


class AmendSplit(EnterSplit):
    """The right ratio of a split, and the reason for the audit record."""

    reason: Annotated[Text, Field(examples=["1 for 10, not 10 for 1"])]
    """The reason for the audit record, 1 to 200 characters."""


AssetClass = Literal["stock", "etf", "fund", "bond", "crypto", "commodity", "other"]


class EnterAsset(Model):
    """The reference data of an asset."""

    name: Annotated[Text, Field(examples=["Apple Inc."])]
    """The name of the asset for people, 1 to 200 characters."""
    asset_class: AssetClass = "stock"
    """The class of the asset. Default: `stock`. Example: `stock`"""
    sector: Sector | None = None
    """The sector in the Global Industry Classification Standard (GICS); null or absent for assets without a sector,
    such as a fund of the whole market."""
    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")] = "USD"
    """The currency of quotes and bars, a code of ISO 4217. Default: `USD`. Example: `USD`"""
    exchange: Annotated[Identifier, Field(examples=["XNAS"])]
    """The market identifier code (ISO 10383) of the exchange, which decides the sessions. Example: `XNAS`"""
    active: StrictBool = True
    """True for an asset whose daily bars are ingested and for which orders are sent. Default: true. Example: `true`"""
    halted: StrictBool = False
    """True to send no orders for the asset. Default: false. Example: `false`"""
    max_jump_percent: Annotated[Percent, Field(gt=0, le=1_000_000)] | None = MAX_JUMP_PERCENT
    """The largest plausible change between two prices in percent; above 0, up to 1,000,000. A price further from the
    newest accepted price is held until it is confirmed. Null accepts every price. Default: 40. Example: `40`"""
    quote_unit: QuoteUnit = QuoteUnit.MONEY
    """The unit of quotes and bars: `money` for one unit, or `percent` of the nominal value for a bond. Fixed once the
    asset has prices. Default: `money`."""
    quantity_places: Annotated[Whole, Field(ge=QUANTITY_PLACES, le=FINEST_PLACES)] = QUANTITY_PLACES
    """The largest number of decimals in the quantity of a trade, 9 to 18; orders have at most 9. Default: 9. Example:
    `9`"""

    @model_validator(mode="after")
    def _require_bond(self) -> "EnterAsset":
        if self.quote_unit is QuoteUnit.PERCENT and self.asset_class != "bond":
            raise ValueError("Only a bond may have the quote_unit `percent`.")
        return self

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
            quote_unit=self.quote_unit,
            quantity_places=self.quantity_places,
        )


class AssetView(Model):
    """The reference data of an asset."""

    symbol: str
    name: str
    asset_class: str
    sector: Sector | None
    sector_code: int | None
    """The code of the sector in GICS, 10 to 60; null without a sector. Example: `45`"""
    currency: str
    exchange: str
    active: bool
    halted: bool
    max_jump_percent: str | None
    quote_unit: QuoteUnit
    quantity_places: int
    version: int


class AssetList(Model):
    """A page of assets."""

    items: list[AssetView]
    next_cursor: str | None


class BarView(Model):
    """A daily bar of an asset, unadjusted for splits. Prices are in the `quote_unit` of the asset."""

    day: str
    """The trading day. Example: `2026-11-20`"""
    open: str
    """The first price of the session, of one unit. Example: `149.80`"""
    high: str
    """The highest price of the session. Example: `152.10`"""
    low: str
    """The lowest price of the session. Example: `149.20`"""
    close: str
    """The last price of the session. Example: `151.40`"""
    volume: str
    """The number of units traded. Example: `48120000`"""
    vwap: str | None
    """The volume-weighted average price; null where the source has none. Example: `150.93`"""
    pre_market: str | None
    """A price before the session; null where the source has none. Example: `149.50`"""
    after_hours: str | None
    """A price after the session; null where the source has none. Example: `151.60`"""
    dividend: str | None
    """The cash dividend of one unit whose ex-day is this day; null without one. Example: `0.25`"""
    source: str
    """The source of the bar. Example: `massive`"""
    revision: int
    """The number of the revision: 1, and one more for each correction by the source. Example: `1`"""


class BarList(Model):
    """A page of the bars of an asset, newest first."""

    items: list[BarView]
    next_cursor: str | None


class ReleasePrice(Model):
    """The release of a held price."""

    price: Annotated[Quantity, Field(gt=0, examples=["214.30"])]
    """The held price to accept, above 0; named so that no other price is released by mistake."""


class PriceView(Model):
    """A price, its time and its source."""

    price: str
    """The price of one unit in the `quote_unit` of the asset. Example: `151.40`"""
    as_of: str
    """The time of the price (UTC). Example: `2026-11-20T15:30:00Z`"""
    source: str
    """The source of the price. Example: `alpaca`"""


class HeldPriceView(PriceView):
    """An implausible price, which is not used until it is confirmed."""

    reason: HoldReason
    """The reason for holding the price: `price_jump` or `split_contradicted`."""
    expected: str
    """The accepted price that the held price was compared with, of one unit after all splits. Example: `151.40`"""
    change_percent: str
    """The distance from `expected` in percent, negative for a lower price. Example: `-52.4`"""
    held_at: str
    """The time since when a price of the symbol is held (UTC). Example: `2026-11-20T15:30:00Z`"""


class HeldQuoteView(HeldPriceView):
    """A quote that will be held."""

    symbol: str


class OutdatedQuoteView(Model):
    """A quote that will be discarded."""

    symbol: str
    as_of: str
    """The time of the quote (UTC). Example: `2026-11-20T15:30:00Z`"""
    stored_as_of: str | None
    """The time of the stored price (UTC); null without a stored price. Example: `2026-11-20T15:31:00Z`"""


class SubmittedQuotesView(Model):
    """The expected outcome of the quotes; a worker stores the quotes."""

    accepted: int
    """The number of quotes that are newer than the stored ones and plausible. Example: `2`"""
    held: list[HeldQuoteView]
    """The implausible quotes."""
    outdated: list[OutdatedQuoteView]
    """The quotes that are older than the stored or another submitted quote, or withdrawn."""


class SplitView(Model):
    """A split."""

    effective_at: str
    """The instant at which the split takes effect (UTC): the open of the first session on or after the day. Example:
    `2026-11-20T14:30:00Z`"""
    ratio: str
    per: str


class SplitsView(Model):
    """All splits of a symbol that are not withdrawn."""

    symbol: str
    splits: list[SplitView]
    """The splits that are not withdrawn, ordered by time."""


class QuoteView(Model):
    """The quote of a symbol."""

    symbol: str
    price: str | None
    """The accepted price of one unit in `quote_unit`; null before the first. Example: `151.40`"""
    as_of: str | None
    """The time of the accepted price (UTC); null before the first. Example: `2026-11-20T15:30:00Z`"""
    source: str | None
    """The source of the accepted price; null before the first. Example: `alpaca`"""
    age_seconds: int | None
    """The age of the accepted price in seconds; null before the first. Example: `12`"""
    held: HeldPriceView | None
    """The held price; null where none is. No order is sent for the symbol while a price is held."""
    previous: PriceView | None
    """The accepted price before; null where there is none."""
    quote_unit: QuoteUnit
    """The unit of all prices: `money` for one unit, or `percent` of the nominal value."""
    splits: list[SplitView]
    """The splits that are not withdrawn, ordered by time."""


def to_domain(quotes: Sequence[QuoteBody]) -> list[NewQuote]:
    """Return the quotes of a body or a message, their prices rounded half up to 9 decimals, but never to zero."""
    return [
        NewQuote(
            quote.symbol,
            max(to_places(quote.price, QUANTITY_PLACES), PRICE_UNIT),
            quote.as_of,
            quote.source or UNNAMED,
        )
        for quote in quotes
    ]


def submitted_view(preview: QuotePreview) -> JsonObject:
    """Return the body of a `SubmittedQuotesView`."""
    held = [
        {"symbol": decision.quote.symbol, **_held_view(decision.quote.held)}
        for decision in preview.held
        if decision.quote.held
    ]
    outdated = [
        {
            "symbol": outdated.quote.symbol,
            "as_of": format_time(outdated.quote.as_of),
            "stored_as_of": outdated.stored_as_of and format_time(outdated.stored_as_of),
        }
        for outdated in preview.outdated
    ]
    return {"accepted": preview.accepted, "held": held, "outdated": outdated}


def quote_view(quote: Quote, now: datetime) -> JsonObject:
    """Return the body of a `QuoteView`."""
    accepted = quote.accepted
    return {
        "symbol": quote.symbol,
        **(_price_view(accepted) if accepted else dict.fromkeys(("price", "as_of", "source"))),
        "age_seconds": int((now - accepted.as_of).total_seconds()) if accepted else None,
        "held": _held_view(quote.held) if quote.held else None,
        "previous": _price_view(quote.previous) if quote.previous else None,
        "quote_unit": quote.quote_unit.value,
        "splits": _split_views(quote),
    }


def _price_view(price: AcceptedPrice) -> JsonObject:
    return {"price": plain(price.price), "as_of": format_time(price.as_of), "source": price.source}


def _held_view(held: HeldPrice) -> JsonObject:
    return {
        **_price_view(held.as_accepted()),
        "reason": held.reason.value,
        "expected": plain(held.expected),
        "change_percent": plain(held.change_percent),
        "held_at": format_time(held.held_at),
    }


def splits_view(quote: Quote) -> JsonObject:
    """Return the body of a `SplitsView`."""
    return {"symbol": quote.symbol, "splits": _split_views(quote)}


def _split_views(quote: Quote) -> list[JsonObject]:
    return [
        {"effective_at": format_time(split.effective_at), "ratio": plain(split.new), "per": plain(split.old)}
        for split in quote.splits
        if not split.is_withdrawn
    ]


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
        "quote_unit": asset.quote_unit.value,
        "quantity_places": asset.quantity_places,
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
