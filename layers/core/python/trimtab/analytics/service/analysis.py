"""Analysis of portfolios: stored daily values and newest prices, evaluated by the pure rules of the domain."""

from collections.abc import Sequence
from datetime import date

from msgspec import Struct

from trimtab.analytics.adapters.series_store import SeriesStore
from trimtab.analytics.domain.benchmark import Benchmark
from trimtab.analytics.domain.daily_value import DailyValue
from trimtab.analytics.domain.exposure import HoldingValue, SectorExposure, compute_sector_exposure
from trimtab.analytics.domain.performance import Performance, measure_performance, select_window
from trimtab.analytics.domain.risk import Risk, RiskParameters, measure_risk
from trimtab.analytics.domain.series import LOOK_BACK
from trimtab.analytics.domain.series_state import SeriesState
from trimtab.analytics.domain.windows import Span, Window, resolve_window
from trimtab.analytics.service.sources import LedgerSource, MarketSource, PortfolioSource
from trimtab.contracts.portfolios import PortfolioSnapshot, PortfolioSummary
from trimtab.kernel.caller import Caller
from trimtab.kernel.clock import Clock
from trimtab.kernel.errors import not_found


class WindowRequest(Struct, frozen=True):
    """A requested window, and the symbol of the benchmark to compare with."""

    span: Span = Span.ONE_YEAR
    first: date | None = None
    last: date | None = None
    benchmark: str | None = None


class DataStatus(Struct, frozen=True):
    """The last valued day, the age of the data in days (None before the first), and the stale symbols."""

    last_day: date | None
    age_days: int | None
    stale: tuple[str, ...]


class PortfolioHistory(Struct, frozen=True):
    """The daily values of a portfolio for a window."""

    portfolio: PortfolioSummary
    data: DataStatus
    window: Window
    daily_values: tuple[DailyValue, ...]
    benchmark: Benchmark | None

    @property
    def covered(self) -> tuple[DailyValue, ...]:
        """The opening value of the window, if any, and the values inside."""
        values = select_window(self.daily_values, self.window)
        return (*((values.opening,) if values.opening else ()), *values.days)

    def performance(self) -> Performance:
        """Return the performance over the window."""
        return measure_performance(self.daily_values, self.window, self.benchmark)

    def risk(self, parameters: RiskParameters) -> Risk:
        """Return the risk over the window."""
        return measure_risk(self.daily_values, self.window, parameters, self.benchmark)


class SectorBreakdown(Struct, frozen=True):
    """The sector exposure of a portfolio and the snapshot that the values come from.

    `other_currency` names the holdings quoted in another currency than the portfolio's (values are not converted).
    """

    exposure: SectorExposure
    snapshot: PortfolioSnapshot
    other_currency: tuple[str, ...]


class Analysis(Struct, frozen=True):
    """Figures of portfolios, from stored values: answers do not depend on any market data provider being up."""

    portfolios: PortfolioSource
    ledger: LedgerSource
    market: MarketSource
    store: SeriesStore
    clock: Clock

    def portfolio(self, caller: Caller, portfolio_id: str) -> PortfolioSummary:
        """Return the caller's portfolio; raises `NotFound`, also for a portfolio of another user."""
        portfolio = self.portfolios.summary(caller.tenant_id, portfolio_id)
        if portfolio is None:
            raise not_found("portfolio")
        caller.require_owner(portfolio.user_id, "portfolio")
        return portfolio

    def snapshot(self, caller: Caller, portfolio_id: str) -> PortfolioSnapshot:
        """Return the caller's portfolio at the newest prices; raises `NotFound` as `portfolio` does."""
        snapshot = self.portfolios.snapshot(caller.tenant_id, portfolio_id)
        if snapshot is None:
            raise not_found("portfolio")
        caller.require_owner(snapshot.portfolio.user_id, "portfolio")
        return snapshot

    def history(self, portfolio: PortfolioSummary, request: WindowRequest) -> PortfolioHistory:
        """Return the daily values of the requested window, which ends with the last valued day at the latest."""
        state, window = self._resolve(portfolio, request)
        values = self._daily_values(state, window)
        newest = values[-1] if values and state and values[-1].day == state.last_day else None
        benchmark = self._benchmark(request.benchmark, window, values)
        return PortfolioHistory(portfolio, self._status(state, newest), window, values, benchmark)

    def require_window(self, portfolio: PortfolioSummary, request: WindowRequest) -> None:
        """Raise `Invalid` where the requested days make no window."""
        self._resolve(portfolio, request)

    def data_status(self, portfolio: PortfolioSummary) -> DataStatus:
        """Return the last valued day and its age, without the stale symbols."""
        return self._status(self.store.state(portfolio.tenant_id, portfolio.portfolio_id), None)

    def sectors(self, snapshot: PortfolioSnapshot) -> SectorBreakdown:
        """Return the sectors; a holding without quote and close counts as zero."""
        assets = self.market.assets(sorted(snapshot.values))
        sectors = {symbol: asset.sector and asset.sector.label for symbol, asset in assets.items()}
        holdings = [HoldingValue(symbol, value) for symbol, value in snapshot.values.items()]
        currency = snapshot.portfolio.currency
        foreign = sorted(symbol for symbol, asset in assets.items() if asset.currency != currency)
        exposure = compute_sector_exposure(holdings, snapshot.cash, sectors)
        return SectorBreakdown(exposure, snapshot, tuple(foreign))

    def _resolve(self, portfolio: PortfolioSummary, request: WindowRequest) -> tuple[SeriesState | None, Window]:
        state = self.store.state(portfolio.tenant_id, portfolio.portfolio_id)
        as_of = state.last_day if state and state.last_day else self.clock().date()
        inception = state.first_day if state else None
        return state, resolve_window(request.span, as_of, inception=inception, first=request.first, last=request.last)

    def _status(self, state: SeriesState | None, newest: DailyValue | None) -> DataStatus:
        last = state.last_day if state else None
        age = (self.clock().date() - last).days if last else None
        return DataStatus(last, age, newest.stale if newest else ())

    def _daily_values(self, state: SeriesState | None, window: Window) -> tuple[DailyValue, ...]:
        if state is None or state.last_day is None:
            return ()
        first = window.first - LOOK_BACK
        return tuple(self.store.daily_values(state.tenant_id, state.portfolio_id, first, window.last))

    def _benchmark(self, symbol: str | None, window: Window, values: Sequence[DailyValue]) -> Benchmark | None:
        if symbol is None:
            return None
        first = max(window.first, values[0].day) if values else window.first
        bars = self.market.bars(symbol, first - LOOK_BACK, window.last)
        splits = self.ledger.splits([symbol]).get(symbol, ())
        dividends = {bar.day: bar.dividend for bar in bars if bar.dividend is not None}
        return Benchmark(symbol, {bar.day: bar.close for bar in bars}, splits, dividends)
