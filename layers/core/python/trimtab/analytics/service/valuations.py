"""Valuations: compute the daily values of new days, and recompute past days after a change."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

from msgspec import Struct
from msgspec.structs import replace

from trimtab.analytics.adapters.series_store import SeriesStore
from trimtab.analytics.domain.daily_value import DailyValue
from trimtab.analytics.domain.series import LOOK_BACK, compute_daily_values
from trimtab.analytics.domain.series_state import SeriesState
from trimtab.analytics.service.alert_evaluator import AlertEvaluator
from trimtab.analytics.service.sources import LedgerSource, MarketSource, PortfolioSource
from trimtab.contracts.portfolios import CashMovement, LedgerTrade, PortfolioStatus, PortfolioSummary
from trimtab.kernel.clock import Clock
from trimtab.kernel.money import ZERO
from trimtab.kernel.retry import ConditionFailed, retry_on_conflict
from trimtab.kernel.trading_days import is_trading_day, on_or_before

MAX_YEARS = 20
MAX_DAYS = 250
"""Trading days computed for one request, about a year. The days left are a request of their own."""
_DAY = timedelta(days=1)


class ValuationResult(Struct, frozen=True):
    """The number of daily values written or removed, the number of alerts raised, and the unknown kinds of rules.

    `next_day` is the first day that is left for a further request, None where all days are computed. `is_covered` where
    the days followed from the portfolio's version before, so that nothing was computed.
    """

    written: int = 0
    alerts: int = 0
    unknown_alert_kinds: tuple[str, ...] = ()
    next_day: date | None = None
    is_covered: bool = False


class Valuations(Struct, frozen=True):
    """Keeps the daily values of portfolios.

    Daily values are a pure function of ledger and bars, so repeats and concurrent writers store the same values. The
    state of the series is written last, with optimistic locking: the writer that lost recomputes and overwrites.
    """

    portfolios: PortfolioSource
    ledger: LedgerSource
    market: MarketSource
    store: SeriesStore
    alerts: AlertEvaluator
    clock: Clock

    def value(
        self, tenant_id: str, portfolio_id: str, since: date | None, *, unless_valued: bool = False
    ) -> ValuationResult:
        """Compute the days from `since` on (None: the missing days) to the last day that has ended, at most `MAX_DAYS`.

        An unknown portfolio has nothing to value. `unless_valued`: nothing is computed where a change of the portfolio
        from `since` on is valued. A request that is repeated after a failure has to compute, because the failed attempt
        may have stored values of an earlier version.
        """
        may_skip = unless_valued

        def attempt() -> ValuationResult:
            nonlocal may_skip
            portfolio = self.portfolios.summary(tenant_id, portfolio_id)
            if portfolio is None:
                return ValuationResult()
            state = self.store.state(tenant_id, portfolio_id)
            if may_skip and state and state.covers(portfolio.version, since):
                return ValuationResult(is_covered=True)
            may_skip = False
            last = on_or_before(self.clock().date() - _DAY)
            days = self._recompute(portfolio, state, since, last)
            self.store.put_daily_values(tenant_id, portfolio_id, days.changed)
            self.store.remove_daily_values(tenant_id, portfolio_id, days.removed)
            after = self._next_state(portfolio, state, days)
            if days.next_day is None:
                after = self.alerts.evaluate(portfolio, after)
            if days.written or after != state:
                self.store.put(replace(after, version=after.version + 1))
            unknown = tuple(sorted({str(rule["kind"]) for rule in after.unknown_rules}))
            return ValuationResult(days.written, len(after.events), unknown, days.next_day)

        return retry_on_conflict(attempt)

    def _recompute(
        self, portfolio: PortfolioSummary, state: SeriesState | None, since: date | None, last: date
    ) -> "_RecomputedDays":
        """Return the days from `since` on; all days where no earlier value is known to be right."""
        names = (portfolio.tenant_id, portfolio.portfolio_id)
        first = (since or state.last_day + _DAY) if state and state.last_day else None
        start = self.store.last_before(*names, first) if first else None
        values, next_day = self._compute(portfolio, start, last)
        if start is not None and not values:
            return _RecomputedDays(start, [], [], [], None)
        begin = date.min if start is None else values[0].day
        end = date.max if next_day is None else next_day - _DAY
        stored = {value.day: value for value in self.store.daily_values(*names, begin, end)}
        removed = sorted(stored.keys() - {value.day for value in values})
        changed = [value for value in values if stored.get(value.day) != value]
        return _RecomputedDays(start, values, changed, removed, next_day)

    def _compute(
        self, portfolio: PortfolioSummary, start: DailyValue | None, last: date
    ) -> tuple[list[DailyValue], date | None]:
        """Return the values of the days after `start` and the first day left (None: none is left)."""
        if start is not None and start.day + _DAY > last:
            return [], None
        names = (portfolio.tenant_id, portfolio.portfolio_id)
        after = datetime.combine(start.day + _DAY, time(), UTC) if start else None
        trades = self.ledger.trades(*names, after)
        movements = [*self.ledger.cash_movements(*names, after)]
        if start is None:
            self._require_unchanged(portfolio)
            movements += _opening_cash(portfolio, trades, movements)
        first = _first_day(start, trades, movements)
        days = _trading_days(first, last) if first else []
        if not days:
            return [], None
        wanted, left = days[:MAX_DAYS], days[MAX_DAYS:]
        entered = {trade.symbol for trade in trades if trade.executed_at.astimezone(UTC).date() <= wanted[-1]}
        symbols = entered | set(start.quantities if start else ())
        splits, closes = self.ledger.splits(symbols), self._closes(symbols, wanted[0] - LOOK_BACK, wanted[-1])
        values = compute_daily_values(trades, movements, splits, closes, wanted, start=start)
        return values, left[0] if left else None

    def _require_unchanged(self, portfolio: PortfolioSummary) -> None:
        """Raise `ConditionFailed` where the portfolio has changed since: opening cash needs cash and ledger in step."""
        again = self.portfolios.summary(portfolio.tenant_id, portfolio.portfolio_id)
        if again is None or again.version != portfolio.version:
            raise ConditionFailed({})

    def _closes(self, symbols: Iterable[str], first: date, last: date) -> Mapping[str, Mapping[date, Decimal]]:
        return {
            symbol: {bar.day: bar.unit_close for bar in self.market.bars(symbol, first, last)}
            for symbol in sorted(symbols)
        }

    def _next_state(
        self, portfolio: PortfolioSummary, before: SeriesState | None, days: "_RecomputedDays"
    ) -> SeriesState:
        state = before or SeriesState(
            tenant_id=portfolio.tenant_id, portfolio_id=portfolio.portfolio_id, updated_at=self.clock()
        )
        state = replace(state, is_open=portfolio.status is not PortfolioStatus.CLOSED, events=())
        state = state.cover(portfolio.version, days.start.day + _DAY if days.start else date.min)
        values = days.values
        if not values and (days.start is not None or state.last_day is None):
            return state
        first = state.first_day if days.start is not None else values[0].day if values else None
        ends = [values[-1].day if values else None, state.last_day if days.next_day else None]
        last = max(filter(None, ends), default=None)
        return replace(state, first_day=first, last_day=last, updated_at=self.clock())


class _RecomputedDays(Struct, frozen=True):
    """The result of a computation after `start` (None: from the first day on), up to the day before `next_day`.

    `changed` are the values that differ from the stored ones; `removed` the stored days without a value now, as after a
    correction that moved the first trade.
    """

    start: DailyValue | None
    values: Sequence[DailyValue]
    changed: Sequence[DailyValue]
    removed: Sequence[date]
    next_day: date | None

    @property
    def written(self) -> int:
        return len(self.changed) + len(self.removed)


def _opening_cash(
    portfolio: PortfolioSummary, trades: Sequence[LedgerTrade], movements: Sequence[CashMovement]
) -> list[CashMovement]:
    """Return the cash that the portfolio was created with: cash less all movements and trades.

    The opening cash counts from the first entry on, as entries recorded later may be older than the portfolio.
    """
    traded = sum((trade.proceeds for trade in trades if trade.moves_cash), ZERO)
    opening = (portfolio.cash or ZERO) - traded - sum((movement.amount for movement in movements), ZERO)
    if not opening:
        return []
    times = [portfolio.created_at, *_times(trades, movements)]
    return [CashMovement(min(times), opening, is_external=True)]


def _first_day(
    start: DailyValue | None, trades: Sequence[LedgerTrade], movements: Sequence[CashMovement]
) -> date | None:
    if start is not None:
        return start.day + _DAY
    times = _times(trades, movements)
    return min(times).astimezone(UTC).date() if times else None


def _times(trades: Sequence[LedgerTrade], movements: Sequence[CashMovement]) -> list[datetime]:
    return [*(trade.executed_at for trade in trades), *(movement.at for movement in movements)]


def _trading_days(first: date, last: date) -> list[date]:
    """Return the trading days from `first` to `last`, limited to the newest `MAX_YEARS` years."""
    first = max(first, last - MAX_YEARS * 366 * _DAY)
    days = (first + _DAY * number for number in range((last - first).days + 1))
    return [day for day in days if is_trading_day(day)]
