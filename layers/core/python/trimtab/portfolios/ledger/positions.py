"""What a portfolio holds and what it has earned, at the quotes that are known."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

from msgspec import Struct
from msgspec.structs import replace

from trimtab.contracts.bars import Bar
from trimtab.contracts.quotes import Quote, Split
from trimtab.kernel.clock import Clock
from trimtab.kernel.errors import Refusal
from trimtab.kernel.money import CONTEXT, ZERO, to_money
from trimtab.kernel.trading_days import on_or_before
from trimtab.portfolios.portfolio.holdings import Holding, fold
from trimtab.portfolios.portfolio.model import Portfolio
from trimtab.portfolios.ports import Ledger

_END_OF_DAY = time(23, 59, 59)


class Position(Struct, frozen=True):
    """A holding with its quote; value and profit are None where the symbol has no quote."""

    holding: Holding
    quote: Quote | None

    @property
    def market_value(self) -> Decimal | None:
        """Quantity times price, in money."""
        if self.quote is None or self.quote.price is None:
            return None
        return to_money(CONTEXT.multiply(self.holding.quantity, self.quote.price))

    @property
    def unrealised(self) -> Decimal | None:
        """Market value less cost."""
        return None if self.market_value is None else self.market_value - self.holding.cost


class Price(Struct, frozen=True):
    """What one unit costs now and the time that is true of; `close_day` where it is the close of a day."""

    value: Decimal
    at: datetime
    close_day: date | None = None

    def now(self, splits: Sequence[Split], now: datetime) -> "Price":
        """The same in units of now: the splits since are taken out."""
        value = self.value
        for split in splits:
            if self.at < split.effective_at <= now:
                value = split.unit_price(value)
        return replace(self, value=value)


class Returns(Struct, frozen=True):
    """Profit of a portfolio in money. `unpriced` names what is held and has no price: it counts as nothing.

    `priced` counts the holdings that have one: a quote or, where a `day` is named, the last close on or before it.
    """

    realised: Decimal
    unrealised: Decimal
    unpriced: tuple[str, ...]
    priced: int
    day: date | None = None

    @property
    def total(self) -> Decimal:
        """Realised and unrealised."""
        return self.realised + self.unrealised


class Worth(Struct, frozen=True):
    """What a portfolio is worth, cash included, in money; `as_of` is the time of the oldest quote in it.

    `unpriced` is held, has no quote and counts as nothing.
    """

    value: Decimal
    as_of: datetime | None
    unpriced: tuple[str, ...]


class Holdings(Struct, frozen=True):
    """The holdings of portfolios."""

    ledger: Ledger
    clock: Clock

    def positions(self, portfolio: Portfolio) -> list[Position]:
        """Every symbol that was ever held, by name, as it is now: splits since the last trade are in it."""
        if not portfolio.holdings:
            return []
        quotes = self.ledger.quotes(sorted(portfolio.holdings))
        held = self.now(portfolio, quotes)
        return [Position(holding, quotes.get(symbol)) for symbol, holding in sorted(held.items())]

    def now(self, portfolio: Portfolio, quotes: Mapping[str, Quote]) -> dict[str, Holding]:
        """The holdings with the splits since their last trade in them, by symbol."""
        return {symbol: self._now(portfolio, holding, quotes) for symbol, holding in portfolio.holdings.items()}

    def prices(self, positions: Iterable[Position]) -> dict[str, Price]:
        """The newer one of quote and last close, by symbol; what has neither is not among them.

        A close counts for the end of its day, UTC. Only a symbol without a quote since the last trading day is asked
        for its close. For reading only: what is traded is decided by quotes.
        """
        now, asked = self.clock(), {it.holding.symbol: it.quote for it in positions}
        last = on_or_before(now.date() - timedelta(days=1))
        found = {name: Price(it.price, it.as_of) for name, it in asked.items() if it and it.price and it.as_of}
        older = [name for name in asked if name not in found or found[name].at.date() <= last]
        for name, bar in self.ledger.closes(older, last).items():
            close = Price(bar.close, datetime.combine(bar.day, _END_OF_DAY, UTC), bar.day)
            if name not in found or found[name].at < close.at:
                found[name] = close
        splits = {name: it.splits for name, it in asked.items() if it}
        return {name: it.now(splits.get(name, ()), now) for name, it in found.items()}

    def worth(self, portfolio: Portfolio) -> Worth | None:
        """What the portfolio is worth at the newest quotes; None where it holds nothing, which costs no read."""
        held = [it for it in self.positions(portfolio) if it.holding.quantity]
        if not held:
            return None
        priced = [(it.holding.quantity, it.quote) for it in held if it.quote is not None]
        values = [CONTEXT.multiply(quantity, quote.price) for quantity, quote in priced if quote.price is not None]
        return Worth(
            to_money(sum(values, portfolio.cash or ZERO)),
            min((quote.as_of for _, quote in priced if quote.as_of is not None), default=None),
            tuple(it.holding.symbol for it in held if it.market_value is None),
        )

    def returns_on(self, portfolio: Portfolio, day: date) -> Returns:
        """What the portfolio had earned at the end of a past day (UTC), at the last closes on or before it."""
        end = datetime.combine(day + timedelta(days=1), time(), UTC)
        symbols = sorted(portfolio.holdings)
        closes, quotes = self.ledger.closes(symbols, day), self.ledger.quotes(symbols)
        realised, unrealised, unpriced, priced = ZERO, ZERO, [], 0
        for symbol in symbols:
            splits = [it for it in (quotes[symbol].splits if symbol in quotes else ()) if it.effective_at < end]
            holding = self._folded(portfolio, symbol, splits, end)
            realised += holding.realised
            if holding.quantity and symbol in closes:
                worth = to_money(CONTEXT.multiply(holding.quantity, _price(closes[symbol], splits)))
                unrealised += worth - holding.cost
                priced += 1
            elif holding.quantity:
                unpriced.append(symbol)
        return Returns(realised, unrealised, tuple(unpriced), priced, day)

    def _folded(self, portfolio: Portfolio, symbol: str, splits: Sequence[Split], end: datetime) -> Holding:
        trades = self.ledger.trades_of(portfolio.tenant_id, portfolio.portfolio_id, symbol)
        executions = [it.execution for it in trades if it.execution is not None and it.executed_at < end]
        return fold(portfolio.holdings[symbol].emptied(), executions, splits)

    def returns(self, portfolio: Portfolio) -> Returns:
        """What the portfolio has earned since its first trade."""
        positions = self.positions(portfolio)
        priced = [it for it in positions if it.unrealised is not None]
        return Returns(
            realised=sum((it.holding.realised for it in positions), ZERO),
            unrealised=sum((it.unrealised or ZERO for it in priced), ZERO),
            unpriced=tuple(it.holding.symbol for it in positions if it.holding.quantity and it.market_value is None),
            priced=sum(1 for it in priced if it.holding.quantity),
        )

    def _now(self, portfolio: Portfolio, holding: Holding, quotes: Mapping[str, Quote]) -> Holding:
        quote, now = quotes.get(holding.symbol), self.clock()
        if quote is None:
            return holding
        pending = holding.pending_splits(quote.splits, now)
        if pending is None:
            return self._anew(portfolio, holding, quote, now)
        for split in pending:
            holding = holding.split(split)
        return holding

    def _anew(self, portfolio: Portfolio, holding: Holding, quote: Quote, now: datetime) -> Holding:
        """A split was entered for a day before the newest trade: only the fold knows what that makes."""
        trades = self.ledger.trades_of(portfolio.tenant_id, portfolio.portfolio_id, holding.symbol)
        splits = [split for split in quote.splits if split.effective_at <= now]
        executions = [trade.execution for trade in trades if trade.execution is not None]
        try:
            return fold(holding.emptied(), executions, splits)
        except Refusal:
            # The split contradicts trades that are recorded: reading goes on with what was true before it.
            return holding


def _price(close: Bar, splits: Sequence[Split]) -> Decimal:
    """What one unit is worth by that close, once the splits after it are in the quantity."""
    price = close.close
    for split in splits:
        if split.effective_at.date() > close.day:
            price = split.unit_price(price)
    return price
