"""Reading holdings: with the splits since the last trade applied, at market prices, and with their profit."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

from msgspec import Struct

from trimtab.contracts.prices import AssetPrice, close_price, newest_price, quote_price
from trimtab.contracts.quotes import Quote, Split
from trimtab.kernel.clock import Clock
from trimtab.kernel.currencies import minor_units
from trimtab.kernel.money import CONTEXT, MONEY_PLACES, ZERO, to_places
from trimtab.kernel.trading_days import on_or_before
from trimtab.portfolios.ledger.history import RecordedEntries, settled
from trimtab.portfolios.ledger.posting import fold_trades
from trimtab.portfolios.ledger.store import LedgerStore
from trimtab.portfolios.ledger.trades import Trade
from trimtab.portfolios.portfolio.holdings import Holding
from trimtab.portfolios.portfolio.model import Portfolio


class PricedHolding(Struct, frozen=True):
    """A holding with the newest price of its symbol; value and profit are None where there is no price.

    `minor_units` are the decimals of money.
    """

    holding: Holding
    price: AssetPrice | None
    minor_units: int = MONEY_PLACES

    @property
    def market_value(self) -> Decimal | None:
        """Quantity times price, in money."""
        if self.price is None:
            return None
        return to_places(CONTEXT.multiply(self.holding.quantity, self.price.value), self.minor_units)

    @property
    def unrealised_profit(self) -> Decimal | None:
        """Market value less cost basis, in money."""
        return None if self.market_value is None else self.market_value - self.holding.cost_basis


class PortfolioProfit(Struct, frozen=True):
    """Profit of a portfolio since its first entry, in money: that of its trades, and income less cash fees.

    `income` is the sum of the cash that came in and that the owner did not deposit, such as dividends. `cash_fees` is
    the sum of the cash that went out and that the owner did not withdraw; fees of trades are in the trades' profit.
    `unpriced` lists the held symbols without a price, which count as zero; `priced` is the number of holdings with a
    price. The price is the newest price or, where `day` is set, the last close on or before that day.
    """

    realised: Decimal
    unrealised: Decimal
    unpriced: tuple[str, ...]
    priced: int
    day: date | None = None
    income: Decimal = ZERO
    cash_fees: Decimal = ZERO

    @property
    def total(self) -> Decimal:
        """Realised and unrealised profit and income, less cash fees."""
        return self.realised + self.unrealised + self.income - self.cash_fees


class PortfolioValue(Struct, frozen=True):
    """Market value of a portfolio in money: the sum of cash and of the market values of its holdings.

    `as_of` is the time of the oldest price. `unpriced` lists the held symbols without a price, which count as zero.
    """

    value: Decimal
    as_of: datetime | None
    unpriced: tuple[str, ...]


def value_holdings(holdings: Iterable[PricedHolding], cash: Decimal | None) -> PortfolioValue:
    """Return the value of holdings and cash; holdings with a quantity of zero do not count."""
    held = [priced for priced in holdings if priced.holding.quantity]
    return PortfolioValue(
        value=sum((priced.market_value or ZERO for priced in held), cash or ZERO),
        as_of=min((priced.price.at for priced in held if priced.price is not None), default=None),
        unpriced=tuple(priced.holding.symbol for priced in held if priced.price is None),
    )


class HoldingsReader(Struct, frozen=True):
    """Reads the holdings of portfolios."""

    ledger: LedgerStore
    clock: Clock

    def read_holdings(self, portfolio: Portfolio) -> list[PricedHolding]:
        """Return every symbol ever held, ordered by symbol, with the splits since its last trade and its newest price.

        No close is read for a symbol that is not held any more.
        """
        if not portfolio.holdings:
            return []
        quotes = self.ledger.quotes(sorted(portfolio.holdings))
        held = self.apply_splits(portfolio, quotes)
        prices = self.read_prices([symbol for symbol, holding in held.items() if holding.quantity], quotes)
        now, units = self.clock(), minor_units(portfolio.currency)
        return [
            PricedHolding(holding, prices.get(symbol) or newest_price(quotes.get(symbol), None, now), units)
            for symbol, holding in sorted(held.items())
        ]

    def read_prices(self, symbols: Iterable[str], quotes: Mapping[str, Quote]) -> dict[str, AssetPrice]:
        """Return the newest prices by symbol (see `newest_price`); symbols without a price are left out.

        A close is read only for a symbol without a quote since the last trading day.
        """
        now, wanted = self.clock(), sorted(symbols)
        last_day = on_or_before(now.date() - timedelta(days=1))
        outdated = [symbol for symbol in wanted if _is_outdated(quotes.get(symbol), last_day)]
        closes = self._read_closes(outdated, last_day)
        prices = {symbol: newest_price(quotes.get(symbol), closes.get(symbol), now) for symbol in wanted}
        return {symbol: price for symbol, price in prices.items() if price is not None}

    def apply_splits(self, portfolio: Portfolio, quotes: Mapping[str, Quote]) -> dict[str, Holding]:
        """Return the holdings by symbol, with the splits since each holding's last trade applied."""
        now = self.clock()
        return {
            symbol: self._apply_splits(portfolio, holding, quotes[symbol].splits, now) if symbol in quotes else holding
            for symbol, holding in portfolio.holdings.items()
        }

    def read_value(self, portfolio: Portfolio) -> PortfolioValue | None:
        """Return the value at the newest prices; None, without a read, for a portfolio that holds nothing."""
        if not any(holding.quantity for holding in portfolio.holdings.values()):
            return None
        return value_holdings(self.read_holdings(portfolio), portfolio.cash)

    def read_profit(self, portfolio: Portfolio) -> PortfolioProfit:
        """Return the profit at the newest prices."""
        holdings = self.read_holdings(portfolio)
        held = [priced for priced in holdings if priced.holding.quantity]
        income, cash_fees = self._read_income(portfolio, None)
        return PortfolioProfit(
            realised=sum((priced.holding.realised_profit for priced in holdings), ZERO),
            unrealised=sum((priced.unrealised_profit or ZERO for priced in held), ZERO),
            unpriced=tuple(priced.holding.symbol for priced in held if priced.price is None),
            priced=sum(1 for priced in held if priced.price is not None),
            income=income,
            cash_fees=cash_fees,
        )

    def read_profit_on(self, portfolio: Portfolio, day: date) -> PortfolioProfit:
        """Return the profit at the end of a past day (UTC), at the last closes on or before that day."""
        end = datetime.combine(day + timedelta(days=1), time(), UTC)
        symbols, units = sorted(portfolio.holdings), minor_units(portfolio.currency)
        closes, quotes = self._read_closes(symbols, day), self.ledger.quotes(symbols)
        realised, unrealised, unpriced, priced = ZERO, ZERO, list[str](), 0
        for symbol in symbols:
            splits = [
                split for split in (quotes[symbol].splits if symbol in quotes else ()) if split.effective_at < end
            ]
            trades = self._trades_of(portfolio, symbol)
            earlier = [trade for trade in trades if trade.executed_at < end]
            holding = fold_trades(portfolio.holdings[symbol], earlier, splits, end, may_oversell=True)
            realised += holding.realised_profit
            if holding.quantity and symbol in closes:
                price = closes[symbol].adjust_for_splits(splits, end).value
                unrealised += to_places(CONTEXT.multiply(holding.quantity, price), units) - holding.cost_basis
                priced += 1
            elif holding.quantity:
                unpriced.append(symbol)
        income, cash_fees = self._read_income(portfolio, end)
        return PortfolioProfit(realised, unrealised, tuple(unpriced), priced, day, income, cash_fees)

    def _read_income(self, portfolio: Portfolio, end: datetime | None) -> tuple[Decimal, Decimal]:
        """Return the income and the cash fees of the cash entries executed before `end`; None for all entries."""
        entries = settled(self.ledger, portfolio, RecordedEntries(self.ledger, portfolio).cash_entries(None))
        earned = [
            entry.change for entry in entries if not entry.is_external and (end is None or entry.executed_at < end)
        ]
        income = sum((change for change in earned if change > 0), ZERO)
        return income, income - sum(earned, ZERO)

    def _read_closes(self, symbols: Sequence[str], day: date) -> dict[str, AssetPrice]:
        """Return the last closes on or before a day by symbol, each at the end of its session."""
        bars = self.ledger.closes(symbols, day)
        assets = self.ledger.assets(sorted(bars))
        exchanges = {symbol: asset.exchange for symbol, asset in assets.items()}
        return {symbol: close_price(bar, exchanges.get(symbol)) for symbol, bar in bars.items()}

    def _trades_of(self, portfolio: Portfolio, symbol: str) -> list[Trade]:
        trades = self.ledger.trades_of(portfolio.tenant_id, portfolio.portfolio_id, symbol)
        return settled(self.ledger, portfolio, trades)

    def _apply_splits(self, portfolio: Portfolio, holding: Holding, splits: Sequence[Split], now: datetime) -> Holding:
        pending = holding.pending_splits(splits, now)
        if pending is not None:
            for split in pending:
                holding = holding.with_split(split)
            return holding
        trades = self._trades_of(portfolio, holding.symbol)
        # A split that is entered, amended or withdrawn late may contradict recorded sells: the holding stays readable.
        return fold_trades(holding, trades, splits, now, may_oversell=True)


def _is_outdated(quote: Quote | None, last_day: date) -> bool:
    price = quote_price(quote)
    return price is None or price.at.date() <= last_day
