"""The answers about a portfolio as it stands now, its alert rules and the links to its pictures."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

from pydantic import Field

from trimtab.analytics.domain.alerts import MAX_RULES, Episode, Rule, RuleKind
from trimtab.analytics.domain.exposure import Exposure
from trimtab.analytics.service.ports import Portfolio, Series, Standing
from trimtab.contracts.fields import Identifier, Model, Percent
from trimtab.kernel.clock import format_time
from trimtab.kernel.errors import Invalid
from trimtab.kernel.money import plain

Answer = dict[str, Any]


class SectorView(Model):
    """A sector's value in money, its weight in percent, and what is in it; Unknown is what has no sector."""

    name: str
    value: str
    weight: str
    symbols: list[str]


class SectorsView(Model):
    """A portfolio by sector, largest first; `unvalued` is held, and nobody knows a price of it."""

    portfolio_id: str
    currency: str
    value: str
    sectors: list[SectorView]
    unvalued: list[str]


class DriftView(Model):
    """An asset's weight, target and band in percents; `distance` to the nearer edge in points, below zero outside."""

    asset: str
    weight: str
    target: str
    drift: str
    lower: str
    upper: str
    distance: str
    value: str


class DriftsView(Model):
    """A portfolio against its target, at the newest quotes; `as_of` is the time of the oldest of them.

    `drift` (half of the sum of all distances from target, percent) is null, and there are no assets, where there is no
    target or where a holding has no quote: `unpriced` names those.
    """

    portfolio_id: str
    currency: str
    value: str
    as_of: datetime | None
    drift: str | None
    assets: list[DriftView]
    unpriced: list[str]


class RuleBody(Model):
    """What is watched. `threshold` is the percent that may not be exceeded; stale and missing_data have none."""

    rule_id: Annotated[Identifier, Field(examples=["var"])]
    kind: RuleKind
    threshold: Annotated[Percent | None, Field(gt=0, le=100)] = None


class ReplaceAlertRules(Model):
    """The alert rules from now on; none ends alerting."""

    rules: Annotated[list[RuleBody], Field(max_length=MAX_RULES)]

    def to_domain(self) -> list[Rule]:
        """The rules; `Invalid` where two have the same id."""
        found = [Rule(it.rule_id, it.kind, it.threshold) for it in self.rules]
        if len({it.rule_id for it in found}) < len(found):
            raise Invalid("invalid_request", "Give each rule an id of its own.")
        return found


class RuleView(Model):
    """A rule and its newest episode: `is_on` while the measure is over the threshold; one alert is raised in each."""

    rule_id: str
    kind: RuleKind
    threshold: str | None
    is_on: bool
    episodes: int
    opened_at: datetime | None
    closed_at: datetime | None
    measured_at: datetime | None


class AlertRulesView(Model):
    """The alert rules of a portfolio."""

    portfolio_id: str
    rules: list[RuleView]


class LinkView(Model):
    """A link that shows a picture to whoever has it, in a browser and without a token, until it expires."""

    url: str
    expires_at: datetime


def sectors_view(portfolio: Portfolio, it: Exposure) -> Answer:
    """See `SectorsView`."""
    rows = [
        {"name": each.name, "value": f"{each.value:.2f}", "weight": f"{each.weight:f}", "symbols": list(each.symbols)}
        for each in it.sectors
    ]
    return {**_head(portfolio, it.value), "sectors": rows, "unvalued": list(it.unvalued)}


def drifts_view(portfolio: Portfolio, it: Standing) -> Answer:
    """See `DriftsView`."""
    rows = [
        {
            "asset": leg.asset,
            **{name: f"{getattr(leg, name):f}" for name in ("weight", "target", "lower", "upper", "distance")},
            "drift": f"{leg.weight - leg.target:f}",
            "value": f"{leg.value:.2f}",
        }
        for leg in it.legs
    ]
    return {
        **_head(portfolio, it.value),
        "as_of": it.as_of and format_time(it.as_of),
        "drift": None if it.drift is None else f"{it.drift:f}",
        "assets": rows,
        "unpriced": [symbol for symbol, worth in it.values.items() if worth is None],
    }


def alert_rules_view(it: Series) -> Answer:
    """See `AlertRulesView`."""
    rows = [_rule(rule, it.episodes.get(rule.rule_id) or Episode("", rule.rule_id)) for rule in it.rules]
    return {"portfolio_id": it.portfolio_id, "rules": rows}


def _rule(rule: Rule, episode: Episode) -> Answer:
    times: Sequence[str] = ("opened_at", "closed_at", "measured_at")
    return {
        "rule_id": rule.rule_id,
        "kind": rule.kind.value,
        "threshold": None if rule.threshold is None else plain(rule.threshold),
        "is_on": episode.is_open,
        "episodes": episode.number,
        **{name: (at := getattr(episode, name)) and format_time(at) for name in times},
    }


def _head(portfolio: Portfolio, value: Decimal) -> Answer:
    return {"portfolio_id": portfolio.portfolio_id, "currency": portfolio.currency, "value": f"{value:.2f}"}
