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
    """An alert rule. An alert is raised above `threshold` percent; `stale` and `missing_data` take no threshold.

    The next alert needs a measurement below `threshold` less `hysteresis` (percentage points; default: a tenth of the
    threshold) in between.
    """

    rule_id: Annotated[Identifier, Field(examples=["var"])]
    kind: AlertKind
    threshold: Annotated[Percent | None, Field(gt=0, le=100)] = None
    hysteresis: Annotated[Percent | None, Field(ge=0, lt=100)] = None


class ReplaceAlertRules(Model):
    """All alert rules of the portfolio; an empty list ends alerting."""

    rules: Annotated[list[AlertRuleBody], Field(max_length=MAX_RULES)]

    def to_domain(self) -> list[AlertRule]:
        """Return the rules; raises `Invalid` where two rules have the same id."""
        rules = [AlertRule(rule.rule_id, rule.kind, rule.threshold, rule.hysteresis) for rule in self.rules]
        if len({rule.rule_id for rule in rules}) < len(rules):
            raise Invalid("invalid_request", "Each rule needs a `rule_id` of its own.")
        return rules


class AlertRuleView(Model):
    """A rule with its newest episode; one alert is raised per episode.

    `is_on` from a measurement above the threshold to the next one below `rearm_below`.
    """

    rule_id: str
    kind: AlertKind
    threshold: str | None
    rearm_below: str | None
    is_on: bool
    episodes: int
    opened_at: datetime | None
    closed_at: datetime | None
    measured_at: datetime | None


class AlertRulesView(Model):
    """The alert rules of a portfolio."""

    portfolio_id: str
    rules: list[AlertRuleView]


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
