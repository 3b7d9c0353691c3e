"""The answers about a portfolio as it stands now, its alert rules and the links to its pictures."""

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any

from pydantic import Field

from trimtab.analytics.domain.alerts import MAX_RULES, Episode, Rule, RuleKind
from trimtab.analytics.service.analysis import Sectors
from trimtab.analytics.service.ports import Portfolio, Series, Standing
from trimtab.contracts.fields import Identifier, Model, Percent
from trimtab.kernel.clock import format_time
from trimtab.kernel.errors import Invalid
from trimtab.kernel.money import plain

Answer = dict[str, Any]

BASIS = "quantity_now_times_the_newer_of_quote_and_last_close"


class SectorView(Model):
    """A sector's value in money, its weight in percent, and what is in it; Unknown is what has no sector."""

    name: str
    value: str
    weight: str
    symbols: list[str]


class CloseView(Model):
    """A symbol that is valued at the close of a day, as no newer quote of it is known."""

    symbol: str
    day: date


class SectorsView(Model):
    """A portfolio by sector, largest first; `unvalued` is held, and nobody knows a price of it.

    `as_of` is the time of the oldest price in it and `age_days` its age; `at_close` is valued at a close,
    `at_last_value` at the price of the last valuation (a trade's), all else at its newest quote; `observations` counts
    the holdings that are valued. `other_currency` is quoted in another currency: nothing is converted.
    """

    portfolio_id: str
    currency: str
    value: str
    method: str
    basis: str
    observations: int
    as_of: datetime | None
    age_days: int | None
    at_close: list[CloseView]
    at_last_value: list[str]
    other_currency: list[str]
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
    """A portfolio against its target, at the newer one of quote and last close of each holding.

    `as_of` is the time of the oldest of these prices and `age_days` its age; `at_close` is valued at a close (that
    counts for the end of its day), all else at its newest quote; `observations` counts the holdings that have a price.
    `drift` (half of the sum of all distances from target, percent) is null, and there are no assets, where there is no
    target or where nobody knows a price of a holding: `unpriced` names those, and `reason` says why in one word.
    """

    portfolio_id: str
    currency: str
    value: str
    method: str
    basis: str
    observations: int
    as_of: datetime | None
    age_days: int | None
    at_close: list[CloseView]
    drift: str | None
    reason: str | None
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


def sectors_view(portfolio: Portfolio, it: Sectors) -> Answer:
    """See `SectorsView`."""
    found = it.exposure
    rows = [
        {"name": each.name, "value": f"{each.value:.2f}", "weight": f"{each.weight:f}", "symbols": list(each.symbols)}
        for each in found.sectors
    ]
    return {
        **_head(portfolio, found.value),
        **_priced(it.standing, "value_of_the_holdings_by_sector_and_cash"),
        "observations": len(it.standing.prices) + len(it.at_last_value),
        "at_last_value": list(it.at_last_value),
        "other_currency": list(it.other_currency),
        "sectors": rows,
        "unvalued": list(found.unvalued),
    }


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
        **_priced(it, "half_of_the_sum_of_all_distances_from_target"),
        "drift": None if it.drift is None else f"{it.drift:f}",
        "reason": it.reason,
        "assets": rows,
        "unpriced": list(it.unpriced),
    }


def _priced(it: Standing, method: str) -> Answer:
    """How it was found: at which prices, and how old they are."""
    closes = [(symbol, price.close_day) for symbol, price in sorted(it.prices.items()) if price.close_day]
    return {
        "method": method,
        "basis": BASIS,
        "observations": len(it.prices),
        "as_of": it.as_of and format_time(it.as_of),
        "age_days": it.age_days,
        "at_close": [{"symbol": symbol, "day": day.isoformat()} for symbol, day in closes],
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
