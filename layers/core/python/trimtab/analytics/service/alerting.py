"""Alert rules: what a portfolio is measured by after each valuation, and the one alert of each episode."""

from collections.abc import Callable, Collection, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import cache

from msgspec import Struct
from msgspec.structs import replace

from trimtab.analytics.domain.alerts import Episode, Measure, Rule, RuleKind, evaluate_all
from trimtab.analytics.domain.figures import Figure
from trimtab.analytics.domain.risk import Risk, Terms, risk
from trimtab.analytics.domain.windows import Span, window
from trimtab.analytics.service.ports import MarketData, Portfolio, Series, SeriesStore, Standings
from trimtab.contracts.events import Event
from trimtab.kernel.clock import Clock
from trimtab.kernel.money import ZERO, plain

STALE, ONE = "STALE", Decimal(1)
MAX_NAMED = 20
_YEAR_AND_A_WEEK = timedelta(days=373)
_DAY = timedelta(days=1)
BARS_ARE_LATE = timedelta(hours=36)
"""After the beginning of a day: its bars come in the night that follows, and by its noon they are late."""

_TITLES: Mapping[RuleKind, str] = {
    RuleKind.VAR_ABOVE: "Value at risk above its limit",
    RuleKind.DRAWDOWN_ABOVE: "Drawdown above its limit",
    RuleKind.DRIFT_ABOVE: "Drift above its limit",
    RuleKind.STALE: "Portfolio needs an operator",
    RuleKind.MISSING_DATA: "Prices are missing",
}


Taken = tuple[Decimal | None, str]
"""A value that was measured (None where it could not be), and what it is about."""


class Alerting(Struct, frozen=True):
    """Measures portfolios by their rules."""

    store: SeriesStore
    standings: Standings
    market: MarketData
    clock: Clock

    def looked_at(self, portfolio: Portfolio, series: Series) -> Series:
        """The series with the episodes as they are now, and with the events of the alerts that begin now.

        It costs nothing where no rule asks: each measure is taken only for a rule that needs it.
        """
        measures = self._measures({it.kind for it in series.rules}, portfolio, series)
        episodes, raised = evaluate_all(series.rules, measures, series.episodes, portfolio.portfolio_id)
        events = tuple(_event(portfolio, rule, episode, measures[rule.kind]) for rule, episode in raised)
        return replace(series, episodes=episodes, events=events)

    def _measures(
        self, kinds: Collection[RuleKind], portfolio: Portfolio, series: Series
    ) -> Mapping[RuleKind, Measure]:
        now, found = self.clock(), cache(lambda: self._risk(series))
        take: Mapping[RuleKind, Callable[[], Taken]] = {
            RuleKind.VAR_ABOVE: lambda: (_value(found(), "historical_var"), "one day, historical, confidence 0.95, 1Y"),
            RuleKind.DRAWDOWN_ABOVE: lambda: (_value(found(), "current_drawdown"), "from the highest value of 1Y"),
            RuleKind.DRIFT_ABOVE: lambda: (self.standings.of(portfolio).drift, "half of all distances from target"),
            RuleKind.STALE: lambda: (ONE if portfolio.status == STALE else ZERO, "status of the portfolio"),
            RuleKind.MISSING_DATA: lambda: self._missing(series),
        }
        return {kind: Measure(now, *take[kind]()) for kind in kinds}

    def _missing(self, series: Series) -> Taken:
        """The symbols without a close of the last day; unknown as long as the bars of that day are still to come."""
        day = series.last_day
        if day is None or self._is_to_come(day):
            return None, ""
        newest = self.store.last_before(series.tenant_id, series.portfolio_id, day + _DAY)
        symbols = newest.stale if newest else ()
        return Decimal(len(symbols)), ", ".join(symbols[:MAX_NAMED])

    def _is_to_come(self, day: date) -> bool:
        late = datetime.combine(day, time(), UTC) + BARS_ARE_LATE
        return self.clock() < late and day not in self.market.marked([day])

    def _risk(self, series: Series) -> Risk | None:
        if series.last_day is None:
            return None
        first = series.last_day - _YEAR_AND_A_WEEK
        year = self.store.snapshots(series.tenant_id, series.portfolio_id, first, series.last_day)
        return risk(year, window(Span.ONE_YEAR, series.last_day), Terms())


def _value(found: Risk | None, name: str) -> Decimal | None:
    figure: Figure | None = getattr(found, name) if found else None
    return figure.value if figure else None


def _event(portfolio: Portfolio, rule: Rule, episode: Episode, measure: Measure) -> Event:
    peak = episode.peak or ZERO
    named = f"Portfolio {portfolio.name} ({portfolio.portfolio_id})"
    texts: Mapping[RuleKind, str] = {
        RuleKind.STALE: f"{named} is stale: it is neither traded nor rebalanced until an operator resolves it.",
        RuleKind.MISSING_DATA: f"{named}: symbols without a price of the last day: {measure.detail}.",
    }
    data = {
        "rule": rule.rule_id,
        "title": _TITLES[rule.kind],
        "text": texts.get(rule.kind, f"{named}: {plain(peak)} %, more than {plain(rule.limit)} %."),
        "portfolio_id": portfolio.portfolio_id,
        "user_id": portfolio.user_id,
        "episode": episode.alert_id,
        "facts": {"measured": plain(peak), "limit": plain(rule.limit), "detail": measure.detail},
    }
    return Event("alert.raised", data)
