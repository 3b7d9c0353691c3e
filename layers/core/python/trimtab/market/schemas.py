"""The bodies that the market routes read, and the answers that they give."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated, Any

from pydantic import Field

from trimtab.contracts.fields import Model, Quantity
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
