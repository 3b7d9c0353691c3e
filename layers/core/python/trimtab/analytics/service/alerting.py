"""Alert rules: what a portfolio is measured by after each valuation, and the one alert of each episode."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal

from trimtab.analytics.domain.alerts import Episode, Measure, Rule, RuleKind, evaluate_all
from trimtab.analytics.domain.risk import Risk, Terms, risk
from trimtab.analytics.domain.series import Snapshot
from trimtab.analytics.domain.windows import Span, window
from trimtab.analytics.service.ports import Portfolio, Series, SeriesStore, Standings
from trimtab.contracts.events import Event
from trimtab.kernel.clock import Clock
from trimtab.kernel.money import ZERO, plain

STALE, ONE = "STALE", Decimal(1)
_YEAR_AND_A_WEEK = timedelta(days=373)

_TITLES: Mapping[RuleKind, str] = {
    RuleKind.VAR_ABOVE: "Value at risk above its limit",
    RuleKind.DRAWDOWN_ABOVE: "Drawdown above its limit",
    RuleKind.DRIFT_ABOVE: "Drift above its limit",
    RuleKind.STALE: "Portfolio needs an operator",
    RuleKind.MISSING_DATA: "Prices are missing",
}


@dataclass(frozen=True, slots=True)
class Alerting:
    """Measures portfolios by their rules."""

    store: SeriesStore
    standings: Standings
    clock: Clock

    def looked_at(self, portfolio: Portfolio, series: Series) -> Series:
        """The series with the episodes as they are now, and with the events of the alerts that begin now.

        It costs nothing where no rule asks: each measure is taken only for a rule that needs it.
        """
        measures = {kind: self._measure(kind, portfolio, series) for kind in sorted({it.kind for it in series.rules})}
        episodes, raised = evaluate_all(series.rules, measures, series.episodes, portfolio.portfolio_id)
        events = tuple(_event(portfolio, rule, episode, measures[rule.kind]) for rule, episode in raised)
        return replace(series, episodes=episodes, events=events)

    def _measure(self, kind: RuleKind, portfolio: Portfolio, series: Series) -> Measure:
        take: Mapping[RuleKind, Callable[[Portfolio, Series], Measure]] = {
            RuleKind.VAR_ABOVE: self._value_at_risk,
            RuleKind.DRAWDOWN_ABOVE: self._drawdown,
            RuleKind.DRIFT_ABOVE: self._drift,
            RuleKind.STALE: self._stale,
            RuleKind.MISSING_DATA: self._missing,
        }
        return take[kind](portfolio, series)

    def _value_at_risk(self, _: Portfolio, series: Series) -> Measure:
        found = self._risk(series)
        return Measure(
            self.clock(), found.historical_var.value if found else None, "one day, historical, confidence 0.95, 1Y"
        )

    def _drawdown(self, _: Portfolio, series: Series) -> Measure:
        found = self._risk(series)
        return Measure(self.clock(), found.current_drawdown.value if found else None, "from the highest value of 1Y")

    def _drift(self, portfolio: Portfolio, _: Series) -> Measure:
        return Measure(self.clock(), self.standings.of(portfolio).drift, "half of the sum of all distances from target")

    def _stale(self, portfolio: Portfolio, _: Series) -> Measure:
        return Measure(self.clock(), ONE if portfolio.status == STALE else ZERO, "status of the portfolio")

    def _missing(self, _: Portfolio, series: Series) -> Measure:
        newest = self._year(series)[-1:]
        missing = newest[0].stale if newest else ()
        return Measure(self.clock(), Decimal(len(missing)) if newest else None, ", ".join(missing[:20]))

    def _risk(self, series: Series) -> Risk | None:
        if series.last_day is None:
            return None
        return risk(self._year(series), window(Span.ONE_YEAR, series.last_day), Terms())

    def _year(self, series: Series) -> Sequence[Snapshot]:
        if series.last_day is None:
            return []
        first = series.last_day - _YEAR_AND_A_WEEK
        return self.store.snapshots(series.tenant_id, series.portfolio_id, first, series.last_day)


def _event(portfolio: Portfolio, rule: Rule, episode: Episode, measure: Measure) -> Event:
    unit = " %" if rule.kind.has_threshold else ""
    text = f"Portfolio {portfolio.name} ({portfolio.portfolio_id}): {plain(episode.peak or ZERO)}{unit}"
    if rule.threshold is not None:
        text += f", more than {plain(rule.threshold)} %"
    facts = {"measured": plain(episode.peak or ZERO), "limit": plain(rule.limit), "detail": measure.detail}
    data = {
        "rule": rule.rule_id,
        "title": _TITLES[rule.kind],
        "text": f"{text}.",
        "portfolio_id": portfolio.portfolio_id,
        "user_id": portfolio.user_id,
        "episode": episode.alert_id,
        "facts": facts,
    }
    return Event("alert.raised", data)
