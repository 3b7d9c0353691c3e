"""The bodies that the market routes read, and the answers that they give."""

from decimal import Decimal
from typing import Annotated, Any

from pydantic import Field

from trimtab.contracts.fields import Asset, Identifier, Model, Quantity, Time
from trimtab.contracts.quotes import Quote
from trimtab.kernel.clock import format_time
from trimtab.kernel.money import plain
from trimtab.market.domain import NewQuote
from trimtab.market.service import Stored

Answer = dict[str, Any]
MAX_QUOTES = 500


class QuoteBody(Model):
    """A price of one unit of a symbol, and when it was true."""

    symbol: Asset
    price: Annotated[Quantity, Field(gt=0)]
    as_of: Time
    source: Identifier | None = None

    def to_domain(self) -> NewQuote:
        """The quote."""
        return NewQuote(self.symbol, self.price, self.as_of, self.source)


class StoreQuotes(Model):
    """Quotes of any symbols; the newest of each wins."""

    quotes: Annotated[list[QuoteBody], Field(min_length=1, max_length=MAX_QUOTES)]


class EnterSplit(Model):
    """From the day on, every `per` units are `ratio` units: 4 per 1 is a split, 1 per 10 a reverse split."""

    ratio: Annotated[Quantity, Field(gt=0, le=1_000_000, examples=[4])]
    per: Annotated[Quantity, Field(gt=0, le=1_000_000)] = Decimal(1)


class StoredView(Model):
    """How many quotes were newer than what was known, and how many were dropped."""

    stored: int
    dropped: int


class SplitView(Model):
    """A split."""

    effective_at: str
    ratio: str
    per: str


class SplitsView(Model):
    """All splits of a symbol, by time."""

    symbol: str
    splits: list[SplitView]


def stored_view(it: Stored) -> Answer:
    """See `StoredView`."""
    return {"stored": it.stored, "dropped": it.dropped}


def splits_view(it: Quote) -> Answer:
    """See `SplitsView`."""
    return {
        "symbol": it.symbol,
        "splits": [
            {"effective_at": format_time(each.effective_at), "ratio": plain(each.new), "per": plain(each.old)}
            for each in it.splits
        ],
    }
