"""Evaluation of alert rules after each valuation: measurements, episodes, and one alert per episode."""

from collections.abc import Callable, Collection, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import cache
from typing import assert_never

from msgspec import Struct
from msgspec.structs import replace

from trimtab.analytics.adapters.series_store import SeriesStore
from trimtab.analytics.domain.alerts import (
    AlertKind,
    AlertRule,
    Episode,
    Measurement,
    describe_alert,
    evaluate_rules,
)
from trimtab.analytics.domain.risk import Risk, RiskParameters, measure_risk
from trimtab.analytics.domain.series_state import SeriesState
from trimtab.analytics.domain.windows import Span, resolve_window
from trimtab.analytics.service.sources import MarketSource, PortfolioSource
from trimtab.contracts.events import Event
from trimtab.contracts.portfolios import PortfolioStatus, PortfolioSummary
from trimtab.kernel.clock import Clock
from trimtab.kernel.money import ZERO, plain

MAX_NAMED_SYMBOLS = 20
_YEAR_AND_A_WEEK = timedelta(days=373)
_DAY = timedelta(days=1)
BARS_DUE_AFTER = timedelta(hours=36)
"""From the start of a day: its bars arrive in the following night and are late by noon."""


class AlertEvaluator(Struct, frozen=True):
    """Measures portfolios against their alert rules."""

    store: SeriesStore
    portfolios: PortfolioSource
    market: MarketSource
    clock: Clock

    def evaluate(self, portfolio: PortfolioSummary, state: SeriesState) -> SeriesState:
        """Return the state with the current episodes, and the events of the alerts raised now.

        Only the measurements that some rule needs are taken. Rules of an unknown kind keep their episodes.
        """
        measurements = self._measure_all({rule.kind for rule in state.rules}, portfolio, state)
        episodes, raised = evaluate_rules(state.rules, measurements, state.episodes)
        unknown = {str(rule["rule_id"]) for rule in state.unknown_rules}
        kept = {rule_id: episode for rule_id, episode in state.episodes.items() if rule_id in unknown}
        events = tuple(_alert_event(portfolio, rule, episode, measurements[rule.kind]) for rule, episode in raised)
        return replace(state, episodes={**kept, **episodes}, events=events)

    def _measure_all(
        self, kinds: Collection[AlertKind], portfolio: PortfolioSummary, state: SeriesState
    ) -> Mapping[AlertKind, Measurement]:
        now, risk = self.clock(), cache(lambda: self._risk(state))
        return {kind: Measurement(now, *self._measure(kind, portfolio, state, risk)) for kind in sorted(kinds)}

    def _measure(
        self, kind: AlertKind, portfolio: PortfolioSummary, state: SeriesState, risk: Callable[[], Risk | None]
    ) -> tuple[Decimal | None, str]:
        """Return the measured value, None where not measurable, with its detail."""
        match kind:
            case AlertKind.VAR_ABOVE:
                found = risk()
                return found.historical_var.value if found else None, "one day, historical, confidence 0.95, 1Y"
            case AlertKind.DRAWDOWN_ABOVE:
                found = risk()
                return found.current_drawdown.value if found else None, "from the highest value of 1Y"
            case AlertKind.DRIFT_ABOVE:
                snapshot = self.portfolios.snapshot(portfolio.tenant_id, portfolio.portfolio_id)
                return snapshot.drift if snapshot else None, "half the sum of the absolute drifts"
            case AlertKind.STALE:
                is_stale = portfolio.status is PortfolioStatus.STALE
                return Decimal(is_stale), "status of the portfolio"
            case AlertKind.MISSING_DATA:
                return self._count_missing(state)
            case _:
                assert_never(kind)

    def _count_missing(self, state: SeriesState) -> tuple[Decimal | None, str]:
        """Return the number of symbols without a close of the last day; None while bars of that day may still come."""
        day = state.last_day
        if day is None or self._bars_are_due(day):
            return None, ""
        newest = self.store.last_before(state.tenant_id, state.portfolio_id, day + _DAY)
        symbols = newest.stale if newest else ()
        return Decimal(len(symbols)), ", ".join(symbols[:MAX_NAMED_SYMBOLS])

    def _bars_are_due(self, day: date) -> bool:
        late = datetime.combine(day, time(), UTC) + BARS_DUE_AFTER
        return self.clock() < late and day not in self.market.ingested_days([day])

    def _risk(self, state: SeriesState) -> Risk | None:
        if state.last_day is None:
            return None
        first = state.last_day - _YEAR_AND_A_WEEK
        year = self.store.daily_values(state.tenant_id, state.portfolio_id, first, state.last_day)
        return measure_risk(year, resolve_window(Span.ONE_YEAR, state.last_day), RiskParameters())


def _alert_event(portfolio: PortfolioSummary, rule: AlertRule, episode: Episode, measurement: Measurement) -> Event:
    words = describe_alert(rule, measurement, f"Portfolio {portfolio.name} ({portfolio.portfolio_id})")
    data = {
        "rule": rule.rule_id,
        "title": words.title,
        "text": words.text,
        "portfolio_id": portfolio.portfolio_id,
        "user_id": portfolio.user_id,
        "name": portfolio.name,
        "episode": episode.alert_id(portfolio.portfolio_id),
        "details": {
            "measured": plain(measurement.value or ZERO),
            "limit": plain(rule.limit),
            "detail": measurement.detail,
        },
    }
    return Event("alert.raised", data)
