"""The daily values of portfolios, kept up: new days are worked out, and past ones again where something has changed."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

from msgspec import Struct
from msgspec.structs import replace

from trimtab.analytics.domain.series import LOOK_BACK, Movement, Snapshot, snapshots
from trimtab.analytics.service.alerting import Alerting
from trimtab.analytics.service.ports import (
    Books,
    CashEntry,
    MarketData,
    Portfolio,
    PortfolioStore,
    Series,
    SeriesStore,
    Trade,
)
from trimtab.kernel.clock import Clock
from trimtab.kernel.money import ZERO
from trimtab.kernel.retry import ConditionFailed, retrying_on_conflict
from trimtab.kernel.trading_days import is_trading_day, on_or_before

CLOSED = "CLOSED"
MAX_YEARS = 20
_DAY = timedelta(days=1)


class Valued(Struct, frozen=True):
    """What a valuation did: snapshots that are new, have changed or are gone, and the alerts that it raised."""

    written: int
    alerts: int


class Valuations(Struct, frozen=True):
    """Keeps the daily values of portfolios.

    They are a pure function of the ledger and the bars, so that it does not matter who writes them, and how often. Two
    writers of one portfolio are told apart at the end, by the version of its series: the one that was overtaken begins
    again, and what it had written is written over.
    """

    portfolios: PortfolioStore
    books: Books
    market: MarketData
    store: SeriesStore
    alerting: Alerting
    clock: Clock

    def value(self, tenant_id: str, portfolio_id: str, since: date | None) -> Valued:
        """Works out the days from `since` on (None: those that are missing) to the last one that has ended.

        Nothing where there is no such portfolio: then there is nothing to value.
        """

        def attempt() -> Valued:
            portfolio = self.portfolios.portfolio(tenant_id, portfolio_id)
            if portfolio is None:
                return Valued(0, 0)
            series = self.store.series(tenant_id, portfolio_id)
            last = on_or_before(self.clock().date() - _DAY)
            days = self._worked_out(portfolio, series, since, last)
            self.store.put_snapshots(tenant_id, portfolio_id, days.changed)
            self.store.remove_snapshots(tenant_id, portfolio_id, days.gone)
            after = self._series(portfolio, series, days)
            after = self.alerting.looked_at(portfolio, after)
            if days.written or after != series:
                self.store.put(replace(after, version=after.version + 1))
            return Valued(days.written, sum(event.type == "alert.raised" for event in after.events))

        return retrying_on_conflict(attempt)

    def _worked_out(self, portfolio: Portfolio, series: Series | None, since: date | None, last: date) -> "_Days":
        """The days from `since` on; all of them where none before it is known to be right."""
        names = (portfolio.tenant_id, portfolio.portfolio_id)
        begins = (since or series.last_day + _DAY) if series and series.last_day else None
        start = self.store.last_before(*names, begins) if begins else None
        found = self._anew(portfolio, start, last)
        if start is not None and not found:
            return _Days(start, [], [], [])
        ends = (date.min, date.max) if start is None else (found[0].day, found[-1].day)
        stored = {it.day: it for it in self.store.snapshots(*names, *ends)}
        gone = sorted(stored.keys() - {it.day for it in found})
        return _Days(start, found, [it for it in found if stored.get(it.day) != it], gone)

    def _anew(self, portfolio: Portfolio, start: Snapshot | None, last: date) -> list[Snapshot]:
        if start is not None and start.day + _DAY > last:
            return []
        names = (portfolio.tenant_id, portfolio.portfolio_id)
        after = datetime.combine(start.day + _DAY, time(), UTC) if start else None
        trades = self.books.trades(*names, after)
        entries = self.books.cash_entries(*names, after)
        movements = [Movement(it.executed_at, it.change, it.is_external) for it in entries]
        if start is None:
            self._require_unchanged(portfolio)
            movements += _opening(portfolio, trades, entries)
        first = _first_day(start, trades, movements)
        if first is None or first > last:
            return []
        symbols = {it.symbol for it in trades} | set(start.quantities if start else ())
        closes = self._closes(symbols, first - LOOK_BACK, last)
        return snapshots(trades, movements, self.books.splits(symbols), closes, _trading_days(first, last), start=start)

    def _require_unchanged(self, portfolio: Portfolio) -> None:
        """The opening cash is what its entries leave of its cash: both have to be of one time, or it is begun again."""
        again = self.portfolios.portfolio(portfolio.tenant_id, portfolio.portfolio_id)
        if again is None or again.version != portfolio.version:
            raise ConditionFailed({})

    def _closes(self, symbols: Iterable[str], first: date, last: date) -> Mapping[str, Mapping[date, Decimal]]:
        return {it: {bar.day: bar.close for bar in self.market.bars(it, first, last)} for it in sorted(symbols)}

    def _series(self, portfolio: Portfolio, before: Series | None, days: "_Days") -> Series:
        series = before or Series(
            tenant_id=portfolio.tenant_id,
            portfolio_id=portfolio.portfolio_id,
            first_day=None,
            last_day=None,
            updated_at=self.clock(),
        )
        series = replace(series, is_open=portfolio.status != CLOSED, events=())
        found = days.found
        if not found and (days.start is not None or series.last_day is None):
            return series
        first = series.first_day if days.start is not None else found[0].day if found else None
        return replace(series, first_day=first, last_day=found[-1].day if found else None, updated_at=self.clock())


class _Days(Struct, frozen=True):
    """What was worked out after `start` (None: from the first day on), what of it is not stored so, and the days that
    are stored and are none any more: a trade that began the past was taken back, or moved to a later day."""

    start: Snapshot | None
    found: Sequence[Snapshot]
    changed: Sequence[Snapshot]
    gone: Sequence[date]

    @property
    def written(self) -> int:
        return len(self.changed) + len(self.gone)


def _opening(portfolio: Portfolio, trades: Sequence[Trade], entries: Sequence[CashEntry]) -> list[Movement]:
    """The cash that the portfolio was created with: what no entry and no trade explains.

    It was there from the first day of its past on: what is recorded later may have happened before it was created.
    """
    moved = sum((it.cash_change for it in trades), ZERO) + sum((it.change for it in entries), ZERO)
    opening = (portfolio.cash or ZERO) - moved
    if not opening:
        return []
    times = [portfolio.created_at, *(it.executed_at for it in trades), *(it.executed_at for it in entries)]
    return [Movement(min(times), opening, is_external=True)]


def _first_day(start: Snapshot | None, trades: Sequence[Trade], movements: Sequence[Movement]) -> date | None:
    if start is not None:
        return start.day + _DAY
    times = [*(it.executed_at for it in trades), *(it.at for it in movements)]
    return min(times).astimezone(UTC).date() if times else None


def _trading_days(first: date, last: date) -> list[date]:
    """The trading days between two days; at most `MAX_YEARS` of them, the newest."""
    first = max(first, last - MAX_YEARS * 366 * _DAY)
    days = (first + _DAY * number for number in range((last - first).days + 1))
    return [day for day in days if is_trading_day(day)]
