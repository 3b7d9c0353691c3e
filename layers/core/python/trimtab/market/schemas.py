"""Request bodies and responses of the market routes."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from trimtab.contracts.assets import MAX_JUMP_PERCENT, AssetRecord, QuoteUnit, Sector
from trimtab.contracts.bars import NUMBERS, Bar
from trimtab.contracts.fields import Identifier, Model, Percent, Quantity, Whole
from trimtab.contracts.messages import QuoteBody, Quotes
from trimtab.contracts.quotes import UNNAMED, AcceptedPrice, HeldPrice, HoldReason, Quote
from trimtab.kernel.clock import format_time
from trimtab.kernel.money import FINEST_PLACES, QUANTITY_PLACES, plain
from trimtab.market.domain.quotes import NewQuote
from trimtab.market.service.quotes import QuotePreview

JsonObject = dict[str, Any]


class StoreQuotes(Model):
    """Quotes of any symbols; the newest quote of each symbol wins."""

    quotes: Quotes


class EnterSplit(Model):
    """A split: every `per` units become `ratio` units. 4 per 1 is a split, 1 per 10 a reverse split."""

    ratio: Annotated[Quantity, Field(gt=0, le=1_000_000, examples=[4])]
    per: Annotated[Quantity, Field(gt=0, le=1_000_000)] = Decimal(1)


Text = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]


class AmendSplit(EnterSplit):
    """The right ratio of a split, and the reason for the audit record."""

    reason: Annotated[Text, Field(examples=["1 for 10, not 10 for 1"])]


AssetClass = Literal["stock", "etf", "fund", "bond", "crypto", "commodity", "other"]


class EnterAsset(Model):
    """The reference data of an asset. Daily bars are ingested for active assets only.

    No orders are sent for an asset that is halted or not active. A price further than `max_jump_percent` from the
    newest accepted price is held until it is confirmed; null accepts every price. `quote_unit` is the unit of quotes
    and bars: `percent` for a bond that is quoted in percent of its nominal value. The unit of an asset with prices is
    fixed. Trades have quantities of up to `quantity_places` decimals; orders have at most 9.
    """

    name: Annotated[Text, Field(examples=["Apple Inc."])]
    asset_class: AssetClass = "stock"
    sector: Sector | None = None
    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")] = "USD"
    exchange: Annotated[Identifier, Field(examples=["XNAS"])]
    active: bool = True
    halted: bool = False
    max_jump_percent: Annotated[Percent, Field(gt=0, le=1_000_000)] | None = MAX_JUMP_PERCENT
    quote_unit: QuoteUnit = QuoteUnit.MONEY
    quantity_places: Annotated[Whole, Field(ge=QUANTITY_PLACES, le=FINEST_PLACES)] = QUANTITY_PLACES

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
    quote_unit: QuoteUnit
    quantity_places: int
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


class ReleasePrice(Model):
    """The held price to accept; the price is named so that no other price is released by mistake."""

    price: Annotated[Quantity, Field(gt=0, examples=["214.30"])]


class PriceView(Model):
    """A price of one unit, its time and its source."""

    price: str
    as_of: str
    source: str


class HeldPriceView(PriceView):
    """A price that is not used: `change_percent` is the distance from `expected`, the accepted price."""

    reason: HoldReason
    expected: str
    change_percent: str
    held_at: str


class HeldQuoteView(HeldPriceView):
    """A quote that will be held."""

    symbol: str


class OutdatedQuoteView(Model):
    """A quote that will be discarded; `stored_as_of` is the time of the stored price, null without a stored price."""

    symbol: str
    as_of: str
    stored_as_of: str | None


class SubmittedQuotesView(Model):
    """The expected outcome of the quotes; a worker stores the quotes.

    `accepted` counts the quotes that are newer than the stored ones and plausible. `held` lists the implausible quotes.
    `outdated` lists the quotes that are older than the stored or another submitted quote, or withdrawn.
    """

    accepted: int
    held: list[HeldQuoteView]
    outdated: list[OutdatedQuoteView]


class SplitView(Model):
    """A split."""

    effective_at: str
    ratio: str
    per: str


class SplitsView(Model):
    """All splits of a symbol that are not withdrawn, ordered by time."""

    symbol: str
    splits: list[SplitView]


class QuoteView(Model):
    """The quote of a symbol. Price, time, source and age are null if no price was accepted yet.

    Prices are in `quote_unit`: `percent` of the nominal value, or `money` for one unit.
    `previous` is the accepted price before. No order is sent for the symbol while a price is held.
    """

    symbol: str
    price: str | None
    as_of: str | None
    source: str | None
    age_seconds: int | None
    held: HeldPriceView | None
    previous: PriceView | None
    quote_unit: QuoteUnit
    splits: list[SplitView]


def to_domain(quotes: Sequence[QuoteBody]) -> list[NewQuote]:
    """Return the quotes of a body or a message."""
    return [NewQuote(quote.symbol, quote.price, quote.as_of, quote.source or UNNAMED) for quote in quotes]


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
