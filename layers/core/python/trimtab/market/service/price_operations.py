"""Operations of people on prices and splits: release, entry, amendment and withdrawal."""

from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal

from msgspec import Struct
from msgspec.structs import replace

from trimtab.contracts.quotes import AcceptedPrice, Quote
from trimtab.kernel.clock import Clock
from trimtab.kernel.errors import not_found
from trimtab.kernel.retry import retry_on_conflict
from trimtab.market.adapters.bars import BarStore
from trimtab.market.adapters.quotes import QuoteStore
from trimtab.market.domain import quote_decision
from trimtab.market.domain.plausibility import PricePoint, close_point
from trimtab.market.domain.quote_decision import CONFIRMED, QuoteContext, QuoteDecision
from trimtab.market.domain.splits import (
    SPLIT_WINDOW,
    SplitAction,
    SplitChange,
    add_split,
    amend_split,
    is_withdrawn,
    require_followed,
    split_days,
    split_of_day,
    withdraw_split,
)

Submit = Callable[[str, AcceptedPrice], None]
"""Send the price of a symbol to the worker that stores quotes."""


class PriceOperations(Struct, frozen=True):
    """The operations on prices and splits.

    Each operation sends the price that stands afterwards to the worker, which matches the price watches. A repeated
    operation changes nothing and sends again: the first attempt may have ended before it sent.
    """

    store: QuoteStore
    bars: BarStore
    submit: Submit
    clock: Clock

    def read(self, symbol: str) -> Quote:
        """Return the quote of a symbol; raises `NotFound` if the symbol has neither a price nor a split."""
        return self._context(symbol).quote

    def release(self, symbol: str, price: Decimal, actor: str) -> Quote:
        """Accept the held price of a symbol; raises `Conflict` if another price is held."""
        return self._apply(symbol, lambda context: quote_decision.release(price, context, actor, self.clock()))

    def withdraw(self, symbol: str, as_of: datetime, reason: str, actor: str) -> Quote:
        """Withdraw the quote or the held price of a time; raises `Conflict` if the symbol has no price of that time."""

        def decide(context: QuoteContext) -> QuoteDecision:
            with_bar = replace(context, bar=self.bars.last_bar(symbol, date.max))
            return quote_decision.withdraw(as_of, reason, with_bar, actor, self.clock())

        return self._apply(symbol, decide)

    def enter_split(self, symbol: str, day: date, new: Decimal, old: Decimal, actor: str) -> Quote:
        """Add a split to a symbol: from the opening of the first session of the day on, `old` units are `new` units.

        Raises `Conflict` if the day has a different split, and `Unprocessable` if the prices around the split
        contradict the split.
        """

        def change(context: QuoteContext) -> SplitChange:
            entered = add_split(context.quote, split_of_day(day, new, old, context.limits.exchange))
            self._require_followed(entered, context)
            return entered

        return self._change_splits(symbol, change, actor)

    def enter_provided_split(self, symbol: str, day: date, new: Decimal, old: Decimal) -> Quote:
        """Add a split that the provider of bars reports, as `enter_split` does, even if a stored price contradicts it.

        The bars of the day are ingested after the split: a bar that contradicts the split is rejected. A split that a
        person withdrew stays withdrawn.
        """

        def change(context: QuoteContext) -> SplitChange:
            split = split_of_day(day, new, old, context.limits.exchange)
            if is_withdrawn(context.quote, split):
                return SplitChange(SplitAction.ENTERED, split, context.quote, context.quote)
            return add_split(context.quote, split)

        return self._change_splits(symbol, change, CONFIRMED)

    def amend_split(self, symbol: str, day: date, new: Decimal, old: Decimal, *, reason: str, actor: str) -> Quote:
        """Amend the ratio of the split of a day; raises `Unprocessable` if the prices around the split contradict it.

        Raises `NotFound` if the symbol has no split on the day.
        """

        def change(context: QuoteContext) -> SplitChange:
            amended = amend_split(context.quote, split_days(day, context.limits.exchange), new, old)
            self._require_followed(amended, context)
            return amended

        return self._change_splits(symbol, change, actor, reason)

    def withdraw_split(self, symbol: str, day: date, *, reason: str, actor: str) -> Quote:
        """Withdraw the split of a day; raises `NotFound` if the symbol has no split on the day."""

        def change(context: QuoteContext) -> SplitChange:
            return withdraw_split(context.quote, split_days(day, context.limits.exchange))

        return self._change_splits(symbol, change, actor, reason)

    def _change_splits(
        self, symbol: str, decide: Callable[[QuoteContext], SplitChange], actor: str, reason: str | None = None
    ) -> Quote:
        """Store the change with its log entry, and send the accepted and the held price to be judged again."""

        def attempt() -> Quote:
            change = decide(QuoteContext(*self.store.quote_and_asset(symbol)))
            if change.after is not change.before:
                self.store.put_split(change.after, change.log_entry(actor, reason, self.clock()))
            return change.after

        quote = retry_on_conflict(attempt)
        if quote.accepted is not None:
            self.submit(symbol, quote.accepted)
        if quote.held is not None:
            self.submit(symbol, quote.held.as_accepted())
        return quote

    def _require_followed(self, change: SplitChange, context: QuoteContext) -> None:
        if change.after is not change.before:
            day = change.split.effective_at.date()
            require_followed(change, self._prices_around(day, context), context.limits)

    def _context(self, symbol: str) -> QuoteContext:
        context = QuoteContext(*self.store.quote_and_asset(symbol))
        if not context.quote.version:
            raise not_found(f"quote of {symbol}")
        return context

    def _apply(self, symbol: str, decide: Callable[[QuoteContext], QuoteDecision]) -> Quote:
        def attempt() -> Quote:
            context = self._context(symbol)
            decision = decide(context)
            self.store.put_decision(context.quote, decision)
            return decision.quote

        quote = retry_on_conflict(attempt)
        if quote.accepted is not None:
            self.submit(symbol, quote.accepted)
        return quote

    def _prices_around(self, day: date, context: QuoteContext) -> list[PricePoint]:
        """Return the accepted prices around a day: the closes, the quote and the price before the quote."""
        exchange, quote = context.limits.exchange, context.quote
        bars = self.bars.bars(quote.symbol, day - SPLIT_WINDOW, day + SPLIT_WINDOW)
        closes = [close_point(bar, exchange) for bar in bars]
        quotes = [PricePoint(price.price, price.as_of) for price in (quote.accepted, quote.previous) if price]
        return [*(point for point in closes if point), *quotes]
