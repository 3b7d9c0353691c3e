"""What a portfolio's figures are: its stored daily values and newest prices, put through the pure rules."""

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal

from msgspec import Struct

from trimtab.analytics.domain import exposure
from trimtab.analytics.domain.benchmark import Benchmark
from trimtab.analytics.domain.exposure import Exposure, Position
from trimtab.analytics.domain.performance import Performance, performance, stretch
from trimtab.analytics.domain.risk import Risk, Terms, risk
from trimtab.analytics.domain.series import LOOK_BACK, Snapshot
from trimtab.analytics.domain.windows import Span, Window, window
from trimtab.analytics.service.ports import (
    Books,
    MarketData,
    Portfolio,
    PortfolioStore,
    Series,
    SeriesStore,
    Standing,
    Standings,
)
from trimtab.kernel.caller import Caller
from trimtab.kernel.clock import Clock
from trimtab.kernel.errors import not_found
from trimtab.kernel.money import CONTEXT, to_money


class Wanted(Struct, frozen=True):
    """The window that is asked for, and the symbol to compare with."""

    span: Span = Span.ONE_YEAR
    first: date | None = None
    last: date | None = None
    benchmark: str | None = None


class Data(Struct, frozen=True):
    """What an answer rests on: the last day that is valued, how many days ago that was, and the symbols of that day
    that were valued at an older close. None where no day is valued yet."""

    last_day: date | None
    age_days: int | None
    stale: tuple[str, ...]


class Past(Struct, frozen=True):
    """The daily values of a portfolio that a window asks for."""

    portfolio: Portfolio
    data: Data
    window: Window
    snapshots: tuple[Snapshot, ...]
    benchmark: Benchmark | None

    @property
    def covered(self) -> tuple[Snapshot, ...]:
        """Those of the window itself, with the one it opens with."""
        part = stretch(self.snapshots, self.window)
        return (*((part.opening,) if part.opening else ()), *part.days)

    @property
    def performance(self) -> Performance:
        """How it did."""
        return performance(self.snapshots, self.window, self.benchmark)

    def risk(self, terms: Terms) -> Risk:
        """What it risks."""
        return risk(self.snapshots, self.window, terms, self.benchmark)


class Sectors(Struct, frozen=True):
    """The sectors of a portfolio, and the standing that their values are of.

    `at_last_value` has neither a quote nor a close and counts at the price of the last valuation; `other_currency`
    names what is quoted in another currency than the portfolio's: nothing is converted.
    """

    exposure: Exposure
    standing: Standing
    at_last_value: tuple[str, ...]
    other_currency: tuple[str, ...]


class Analysis(Struct, frozen=True):
    """The figures of the caller's portfolios. The stored values answer, whatever provider is down."""

    portfolios: PortfolioStore
    books: Books
    standings: Standings
    market: MarketData
    store: SeriesStore
    clock: Clock

    def portfolio(self, caller: Caller, portfolio_id: str) -> Portfolio:
        """The caller's portfolio; `NotFound` where it is not there or not the caller's."""
        portfolio = self.portfolios.portfolio(caller.tenant_id, portfolio_id)
        if portfolio is None:
            raise not_found("portfolio")
        caller.require_owner(portfolio.user_id, "portfolio")
        return portfolio

    def past(self, portfolio: Portfolio, wanted: Wanted) -> Past:
        """The daily values of the window; it ends with the last day that is valued."""
        series, asked = self._asked(portfolio, wanted)
        found = self._snapshots(series, asked)
        newest = found[-1] if found and series and found[-1].day == series.last_day else None
        data = self._data(series, newest)
        return Past(portfolio, data, asked, found, self._benchmark(wanted.benchmark, asked, found))

    def require_window(self, portfolio: Portfolio, wanted: Wanted) -> None:
        """`Invalid` where the days that are asked for make no window."""
        self._asked(portfolio, wanted)

    def data(self, portfolio: Portfolio) -> Data:
        """How far it is valued."""
        return self._data(self.store.series(portfolio.tenant_id, portfolio.portfolio_id), None)

    def _asked(self, portfolio: Portfolio, wanted: Wanted) -> tuple[Series | None, Window]:
        series = self.store.series(portfolio.tenant_id, portfolio.portfolio_id)
        as_of = series.last_day if series and series.last_day else self.clock().date()
        inception = series.first_day if series else None
        return series, window(wanted.span, as_of, inception=inception, first=wanted.first, last=wanted.last)

    def _data(self, series: Series | None, newest: Snapshot | None) -> Data:
        last = series.last_day if series else None
        age = (self.clock().date() - last).days if last else None
        return Data(last, age, newest.stale if newest else ())

    def now(self, portfolio: Portfolio) -> Standing:
        """Where it stands at the newest prices."""
        return self.standings.of(portfolio)

    def sectors(self, portfolio: Portfolio) -> Sectors:
        """Its sectors now; a symbol that has neither a quote nor a close counts at the price of the last valuation."""
        standing = self.standings.of(portfolio)
        carried = self._carried(portfolio, standing)
        values = {**standing.values, **carried}
        assets = self.market.assets(sorted(values))
        sectors = {symbol: it.sector and it.sector.label for symbol, it in assets.items()}
        positions = [Position(symbol, worth) for symbol, worth in values.items()]
        foreign = sorted(symbol for symbol, it in assets.items() if it.currency != portfolio.currency)
        found = exposure.exposure(positions, standing.cash, sectors)
        return Sectors(found, standing, tuple(sorted(carried)), tuple(foreign))

    def _carried(self, portfolio: Portfolio, standing: Standing) -> dict[str, Decimal]:
        """What that is worth of which nobody knows a price but the last valuation, by symbol."""
        newest = self._newest(portfolio) if standing.unpriced else None
        known = [symbol for symbol in standing.unpriced if newest and symbol in newest.prices]
        if newest is None or not known:
            return {}
        splits, today = self.books.splits(known), self.clock().date()
        found = {}
        for symbol in known:
            price = newest.prices[symbol]
            for split in splits.get(symbol, ()):
                if newest.day < split.effective_at.date() <= today:
                    price = split.unit_price(price)
            found[symbol] = to_money(CONTEXT.multiply(standing.quantities[symbol], price))
        return found

    def _newest(self, portfolio: Portfolio) -> Snapshot | None:
        names = (portfolio.tenant_id, portfolio.portfolio_id)
        return self.store.last_before(*names, self.clock().date() + timedelta(days=1))

    def _snapshots(self, series: Series | None, asked: Window) -> tuple[Snapshot, ...]:
        if series is None or series.last_day is None:
            return ()
        names = (series.tenant_id, series.portfolio_id)
        return tuple(self.store.snapshots(*names, asked.first - LOOK_BACK, asked.last))

    def _benchmark(self, symbol: str | None, asked: Window, found: Sequence[Snapshot]) -> Benchmark | None:
        if symbol is None:
            return None
        first = max(asked.first, found[0].day) if found else asked.first
        bars = self.market.bars(symbol, first - LOOK_BACK, asked.last)
        splits = self.books.splits([symbol]).get(symbol, ())
        return Benchmark(symbol, {bar.day: bar.close for bar in bars}, splits)
