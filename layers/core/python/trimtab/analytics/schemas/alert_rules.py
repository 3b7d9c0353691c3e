"""Bodies and answers about alert rules."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import Field

from trimtab.analytics.domain.alerts import MAX_RULES, AlertKind, AlertRule, Episode
from trimtab.analytics.domain.series_state import SeriesState
from trimtab.contracts.fields import Identifier, Model, Percent
from trimtab.kernel.clock import format_time
from trimtab.kernel.errors import Invalid
from trimtab.kernel.money import plain


class AlertRuleBody(Model):
    """An alert rule."""

    rule_id: Annotated[Identifier, Field(examples=["var"])]
    """The id of the rule, unique within the portfolio. Example: `var`"""
    kind: AlertKind
    """The measurement: `var_above` (one-day value at risk), `drawdown_above` (current drawdown) and `drift_above` in
    percent of the portfolio; `stale` (the portfolio is stale); `missing_data` (symbols without a close of the last
    day)."""
    threshold: Annotated[Percent | None, Field(gt=0, le=100)] = None
    """The percent above which an alert is raised; above 0, up to 100. Required for the three kinds that end in
    `_above`, not allowed for the others. Example: `5`"""
    hysteresis: Annotated[Percent | None, Field(ge=0, lt=100)] = None
    """The percentage points below the threshold that a measurement must reach before the next alert, from 0 to less
    than the threshold. Default: a tenth of the threshold. Example: `0.5`"""


class ReplaceAlertRules(Model):
    """The alert rules of a portfolio."""

    rules: Annotated[list[AlertRuleBody], Field(max_length=MAX_RULES)]
    """All alert rules of the portfolio, at most 20; an empty list ends alerting."""

    def to_domain(self) -> list[AlertRule]:
        """Return the rules; raises `Invalid` where two rules have the same id."""
        rules = [AlertRule(rule.rule_id, rule.kind, rule.threshold, rule.hysteresis) for rule in self.rules]
        if len({rule.rule_id for rule in rules}) < len(rules):
            raise Invalid("invalid_request", "Each rule needs a `rule_id` of its own.")
        return rules


class AlertRuleView(Model):
    """A rule with its newest episode."""

    rule_id: str
    kind: AlertKind
    threshold: str | None
    """The percent above which an alert is raised; null for `stale` and `missing_data`. Example: `5`"""
    rearm_below: str | None
    """The percent below which an episode ends; null for `stale` and `missing_data`. Example: `4.5`"""
    is_on: bool
    """True during an episode: from a measurement above the threshold to the next one below `rearm_below`. Example:
    `false`"""
    episodes: int
    """The number of episodes since the rule was set; one alert is raised per episode. Example: `1`"""
    opened_at: datetime | None
    """The start of the newest episode (UTC); null before the first."""
    closed_at: datetime | None
    """The end of the newest episode (UTC); null while it is open, and before the first."""
    measured_at: datetime | None
    """The time of the newest measurement (UTC); null before the first."""


class AlertRulesView(Model):
    """The alert rules of a portfolio."""

    portfolio_id: str
    rules: list[AlertRuleView]
    """The rules in the order in which they were set."""


def alert_rules_view(state: SeriesState) -> dict[str, Any]:
    """Return the members of an `AlertRulesView`."""
    rows = [_rule(rule, state.episodes.get(rule.rule_id) or Episode(rule.rule_id)) for rule in state.rules]
    return {"portfolio_id": state.portfolio_id, "rules": rows}


def _rule(rule: AlertRule, episode: Episode) -> dict[str, Any]:
    times = {"opened_at": episode.opened_at, "closed_at": episode.closed_at, "measured_at": episode.measured_at}
    return {
        "rule_id": rule.rule_id,
        "kind": rule.kind.value,
        "threshold": None if rule.threshold is None else plain(rule.threshold),
        "rearm_below": None if rule.rearm_below is None else plain(rule.rearm_below),
        "is_on": episode.is_open,
        "episodes": episode.number,
        **{name: time and format_time(time) for name, time in times.items()},
    }
