"""Reading holdings: with the splits since the last trade applied, at market prices, and with their profit."""

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
from trimtab.portfolios.ledger.posting import fold_trades
from trimtab.portfolios.ledger.store import LedgerStore
from trimtab.portfolios.portfolio.holdings import Holding
from trimtab.portfolios.portfolio.model import Portfolio

_END_OF_DAY = time(23, 59, 59)


class QuotedHolding(Struct, frozen=True):
    """A holding with the newest quote of its symbol; value and profit are None where there is no quote."""

    holding: Holding
    quote: Quote | None

    @property
    def market_value(self) -> Decimal | None:
        """Quantity times price, in money."""
        if self.quote is None or self.quote.price is None:
            return None
        return to_money(CONTEXT.multiply(self.holding.quantity, self.quote.price))

    @property
    def unrealised_profit(self) -> Decimal | None:
        """Market value less cost basis, in money."""
        return None if self.market_value is None else self.market_value - self.holding.cost_basis


class MarketPrice(Struct, frozen=True):
    """Price of one unit at a time (UTC); `close_day` is set where the price is the close of a trading day."""

    value: Decimal
    at: datetime
    close_day: date | None = None

    def adjust_for_splits(self, splits: Sequence[Split], now: datetime) -> "MarketPrice":
        """Return the price of one present unit: the splits between the time of the price and `now` are applied.

        >>> january = lambda day: datetime(2026, 1, day, tzinfo=UTC)
        >>> four_for_one = Split(january(6), Decimal(4), Decimal(1))
        >>> MarketPrice(Decimal(100), january(5)).adjust_for_splits([four_for_one], january(7)).value
        Decimal('25')
        """
        value = self.value
        for split in splits:
            if self.at < split.effective_at <= now:
                value = split.unit_price(value)
        return replace(self, value=value)


class PortfolioProfit(Struct, frozen=True):
    """Profit of a portfolio since its first trade, in money.

    `unpriced` lists the held symbols without a price, which count as zero; `priced` is the number of holdings with a
    price. The price is the newest quote or, where `day` is set, the last close on or before that day.
    """

    realised: Decimal
    unrealised: Decimal
    unpriced: tuple[str, ...]
    priced: int
    day: date | None = None

    @property
    def total(self) -> Decimal:
        """Realised and unrealised profit."""
        return self.realised + self.unrealised


class PortfolioValue(Struct, frozen=True):
    """Market value of a portfolio including cash, in money.

    `as_of` is the time of the oldest quote. `unpriced` lists the held symbols without a quote, which count as zero.
    """

    value: Decimal
    as_of: datetime | None
    unpriced: tuple[str, ...]


class HoldingsReader(Struct, frozen=True):
    """Reads the holdings of portfolios."""

    ledger: LedgerStore
    clock: Clock

    def read_holdings(self, portfolio: Portfolio) -> list[QuotedHolding]:
        """Return every symbol ever held, ordered by symbol, with the splits since its last trade applied."""
        if not portfolio.holdings:
            return []
        quotes = self.ledger.quotes(sorted(portfolio.holdings))
        held = self.apply_splits(portfolio, quotes)
        return [QuotedHolding(holding, quotes.get(symbol)) for symbol, holding in sorted(held.items())]

    def apply_splits(self, portfolio: Portfolio, quotes: Mapping[str, Quote]) -> dict[str, Holding]:
        """Return the holdings by symbol, with the splits since each holding's last trade applied."""
        now = self.clock()
        return {
            symbol: self._apply_splits(portfolio, holding, quotes[symbol].splits, now) if symbol in quotes else holding
            for symbol, holding in portfolio.holdings.items()
        }

    def read_prices(self, holdings: Iterable[QuotedHolding]) -> dict[str, MarketPrice]:
        """Return by symbol the newer of quote and last close, in present units; symbols without either are left out.

        A close counts for the end of its day (UTC). The close is read only for a symbol without a quote since the last
        trading day. These prices are for reports; orders are planned from quotes alone.
        """
        now, quotes = self.clock(), {quoted.holding.symbol: quoted.quote for quoted in holdings}
        last_day = on_or_before(now.date() - timedelta(days=1))
        prices = {
            symbol: MarketPrice(quote.price, quote.as_of)
            for symbol, quote in quotes.items()
            if quote and quote.price and quote.as_of
        }
        outdated = [symbol for symbol in quotes if symbol not in prices or prices[symbol].at.date() <= last_day]
        for symbol, bar in self.ledger.closes(outdated, last_day).items():
            close = MarketPrice(bar.close, datetime.combine(bar.day, _END_OF_DAY, UTC), bar.day)
            if symbol not in prices or prices[symbol].at < close.at:
                prices[symbol] = close
        splits = {symbol: quote.splits for symbol, quote in quotes.items() if quote}
        return {symbol: price.adjust_for_splits(splits.get(symbol, ()), now) for symbol, price in prices.items()}

    def read_value(self, portfolio: Portfolio) -> PortfolioValue | None:
        """Return the value at the newest quotes; None, without a read, for a portfolio that holds nothing."""
        held = [quoted for quoted in self.read_holdings(portfolio) if quoted.holding.quantity]
        if not held:
            return None
        priced = [(quoted.holding.quantity, quoted.quote) for quoted in held if quoted.quote is not None]
        values = [CONTEXT.multiply(quantity, quote.price) for quantity, quote in priced if quote.price is not None]
        return PortfolioValue(
            to_money(sum(values, portfolio.cash or ZERO)),
            min((quote.as_of for _, quote in priced if quote.as_of is not None), default=None),
            tuple(quoted.holding.symbol for quoted in held if quoted.market_value is None),
        )

    def read_profit(self, portfolio: Portfolio) -> PortfolioProfit:
        """Return the profit at the newest quotes."""
        holdings = self.read_holdings(portfolio)
        priced = [quoted for quoted in holdings if quoted.market_value is not None]
        held_unpriced = [quoted for quoted in holdings if quoted.holding.quantity and quoted.market_value is None]
        return PortfolioProfit(
            realised=sum((quoted.holding.realised_profit for quoted in holdings), ZERO),
            unrealised=sum((quoted.unrealised_profit or ZERO for quoted in priced), ZERO),
            unpriced=tuple(quoted.holding.symbol for quoted in held_unpriced),
            priced=sum(1 for quoted in priced if quoted.holding.quantity),
        )

    def read_profit_on(self, portfolio: Portfolio, day: date) -> PortfolioProfit:
        """Return the profit at the end of a past day (UTC), at the last closes on or before that day."""
        end = datetime.combine(day + timedelta(days=1), time(), UTC)
        symbols = sorted(portfolio.holdings)
        closes, quotes = self.ledger.closes(symbols, day), self.ledger.quotes(symbols)
        realised, unrealised, unpriced, priced = ZERO, ZERO, list[str](), 0
        for symbol in symbols:
            splits = [
                split for split in (quotes[symbol].splits if symbol in quotes else ()) if split.effective_at < end
            ]
            trades = self.ledger.trades_of(portfolio.tenant_id, portfolio.portfolio_id, symbol)
            earlier = [trade for trade in trades if trade.executed_at < end]
            holding = fold_trades(portfolio.holdings[symbol], earlier, splits, end)
            realised += holding.realised_profit
            if holding.quantity and symbol in closes:
                price = _split_adjusted_close(closes[symbol], splits)
                unrealised += to_money(CONTEXT.multiply(holding.quantity, price)) - holding.cost_basis
                priced += 1
            elif holding.quantity:
                unpriced.append(symbol)
        return PortfolioProfit(realised, unrealised, tuple(unpriced), priced, day)

    def _apply_splits(self, portfolio: Portfolio, holding: Holding, splits: Sequence[Split], now: datetime) -> Holding:
        pending = holding.pending_splits(splits, now)
        if pending is not None:
            for split in pending:
                holding = holding.with_split(split)
            return holding
        trades = self.ledger.trades_of(portfolio.tenant_id, portfolio.portfolio_id, holding.symbol)
        try:
            return fold_trades(holding, trades, splits, now)
        except Refusal:
            # A split was entered late and contradicts recorded sells. Readers keep seeing the holding before the
            # split, so that an operator's entry does not close a client's portfolio.
            return holding


def _split_adjusted_close(close: Bar, splits: Sequence[Split]) -> Decimal:
    """Return the close in units of a quantity to which the splits after the day of the close are applied."""
    price = close.close
    for split in splits:
        if split.effective_at.date() > close.day:
            price = split.unit_price(price)
    return price
