"""The storing of quotes: accepted, held or discarded."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime

from msgspec import Struct
from msgspec.structs import replace

from trimtab.contracts.bars import Bar
from trimtab.contracts.quotes import StoredPrice
from trimtab.kernel.clock import Clock
from trimtab.kernel.retry import retry_on_conflict
from trimtab.market.adapters.bars import BarStore
from trimtab.market.adapters.quotes import QuoteStore
from trimtab.market.domain.quote_decision import QuoteContext, QuoteDecision, QuoteOutcome, decide
from trimtab.market.domain.quotes import NewQuote, is_in_future, newest_by_symbol

ParallelJudgement = Callable[[Callable[[NewQuote], QuoteDecision], Iterable[NewQuote]], Iterable[QuoteDecision]]
"""`map`, or the `map` of a thread pool."""


class StoredQuotes(Struct, frozen=True):
    """The result of storing quotes.

    `prices` maps each symbol whose quote was accepted, now or before, to the price that is valid now. `held` counts the
    implausible quotes. `discarded` counts the quotes that were older than the stored quote, in the future or withdrawn.
    `newly_held` maps the symbols whose episode of held prices began, now or in an earlier delivery, to the held price:
    portfolios that the price would have concerned have to know.
    """

    prices: Mapping[str, StoredPrice]
    held: int
    discarded: int
    newly_held: Mapping[str, StoredPrice]


class OutdatedQuote(Struct, frozen=True):
    """A quote that will be discarded, and the time of the stored price (None without a stored price)."""

    quote: NewQuote
    stored_as_of: datetime | None


class QuotePreview(Struct, frozen=True):
    """The expected outcome of submitted quotes: the decisions that hold a price, and the outdated quotes.

    `accepted` counts the other quotes.
    """

    accepted: int
    held: Sequence[QuoteDecision]
    outdated: Sequence[OutdatedQuote]


class QuoteService(Struct, frozen=True):
    """Stores quotes, and tells beforehand which quotes will be held or discarded."""

    store: QuoteStore
    bars: BarStore
    clock: Clock
    parallel_map: ParallelJudgement = map

    def store_quotes(self, quotes: Sequence[NewQuote]) -> StoredQuotes:
        """Store the newest quote of each symbol if it is newer than the stored quote and plausible.

        A repeated quote is part of the result again: the first attempt may have ended before the quote was acted on.
        """
        now = self.clock()
        prices: dict[str, StoredPrice] = {}
        unclear: list[NewQuote] = []
        for quote in newest_by_symbol([quote for quote in quotes if not is_in_future(quote, now)]):
            stored = self.store.advance(quote, self.clock())
            if stored is None:
                unclear.append(quote)
            else:
                prices[quote.symbol] = stored
        held, newly_held = 0, dict[str, StoredPrice]()
        for decision in self.parallel_map(self._store_judged, unclear):
            held += decision.outcome is QuoteOutcome.HELD
            if decision.needs_checks and decision.quote.held is not None:
                newly_held[decision.quote.symbol] = StoredPrice(decision.quote.held.price, decision.quote.version)
            if decision.outcome in (QuoteOutcome.ACCEPTED, QuoteOutcome.REPEATED) and decision.quote.price is not None:
                prices[decision.quote.symbol] = StoredPrice(
                    decision.quote.price, decision.quote.version, decision.is_in_new_units
                )
        return StoredQuotes(prices, held, len(quotes) - len(prices) - held, newly_held)

    def preview(self, quotes: Sequence[NewQuote]) -> QuotePreview:
        """Return the expected outcome of quotes: the worker that stores the quotes decides.

        Reads the stored quotes and the assets, and the last bars of the implausible quotes only. Of several quotes of a
        symbol the newest is judged, and the others are outdated.
        """
        submitted, newest = set(quotes), newest_by_symbol(quotes)
        stored = self.store.quotes_and_assets([quote.symbol for quote in newest])
        outcomes = {quote: self._preview(quote, QuoteContext(*stored[quote.symbol])) for quote in newest}
        held = [decision for decision in outcomes.values() if decision.outcome is QuoteOutcome.HELD]
        outdated = [
            OutdatedQuote(quote, stored[quote.symbol][0].as_of)
            for quote in sorted(submitted, key=lambda quote: (quote.symbol, quote.as_of))
            if quote not in outcomes or outcomes[quote].outcome is QuoteOutcome.OUTDATED
        ]
        return QuotePreview(len(submitted) - len(held) - len(outdated), held, outdated)

    def _preview(self, new: NewQuote, context: QuoteContext) -> QuoteDecision:
        decision = decide(new, context, self.clock())
        if decision.outcome is QuoteOutcome.HELD:
            return decide(new, replace(context, bar=self._last_bar(new.symbol)), self.clock())
        return decision

    def _store_judged(self, new: NewQuote) -> QuoteDecision:
        def attempt() -> QuoteDecision:
            context = QuoteContext(*self.store.quote_and_asset(new.symbol))
            decision = decide(new, context, self.clock())
            if decision.outcome not in (QuoteOutcome.REPEATED, QuoteOutcome.OUTDATED):
                decision = decide(new, replace(context, bar=self._last_bar(new.symbol)), self.clock())
            self.store.put_decision(context.quote, decision)
            return decision

        return retry_on_conflict(attempt)

    def _last_bar(self, symbol: str) -> Bar | None:
        return self.bars.last_bar(symbol, date.max)
