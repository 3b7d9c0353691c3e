"""Alerts: one for each episode. An episode begins when a measure leaves its limit and ends once it is back inside.

Pure: the caller keeps the episode of each rule beside the portfolio and writes it in the transaction that raises the
alert, so that a measure that comes twice, or late, raises nothing twice.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from trimtab.kernel import ids
from trimtab.kernel.clock import format_time
from trimtab.kernel.errors import Invalid
from trimtab.kernel.money import HUNDRED, ZERO

MAX_RULES = 20


class RuleKind(StrEnum):
    """What a rule watches.

    The first three compare a percent of the portfolio: one-day value at risk, current drawdown, drift from target.
    STALE watches whether the portfolio is stale, MISSING_DATA how many of its symbols have no close of the day.
    """

    VAR_ABOVE = "var_above"
    DRAWDOWN_ABOVE = "drawdown_above"
    DRIFT_ABOVE = "drift_above"
    STALE = "stale"
    MISSING_DATA = "missing_data"

    @property
    def has_threshold(self) -> bool:
        """Whether its limit is chosen; the others are outside as soon as they count anything."""
        return self not in {RuleKind.STALE, RuleKind.MISSING_DATA}


class Rule(Struct, frozen=True):
    """What is watched, and the percent (above 0, at most 100) that it may not exceed; being equal is inside.

    `Invalid` for a threshold that is missing, out of range, or given to a kind that has none.
    """

    rule_id: str
    kind: RuleKind
    threshold: Decimal | None = None

    def __post_init__(self) -> None:
        if self.kind.has_threshold and (self.threshold is None or not 0 < self.threshold <= HUNDRED):
            raise Invalid("invalid_threshold", f"{self.kind} needs a threshold above 0 and at most 100 percent.")
        if not self.kind.has_threshold and self.threshold is not None:
            raise Invalid("invalid_threshold", f"{self.kind} has no threshold.")

    @property
    def limit(self) -> Decimal:
        """The largest number that is inside."""
        return ZERO if self.threshold is None else self.threshold


class Measure(Struct, frozen=True):
    """What was measured and when: a percent, or a count. None where it could not be: neither inside nor outside."""

    at: datetime
    value: Decimal | None
    detail: str = ""


class Episode(Struct, frozen=True):
    """The newest episode of a rule, or none yet (`number` 0). `measured_at` is the newest measure in it."""

    subject: str
    rule_id: str
    number: int = 0
    is_open: bool = False
    opened_at: datetime | None = None
    closed_at: datetime | None = None
    measured_at: datetime | None = None
    peak: Decimal | None = None

    @property
    def alert_id(self) -> str:
        """The id of the one alert of this episode, the same as long as it lasts, and no other episode's: a rule that is
        taken away and set again counts from one again, but not from the same instant."""
        opened = format_time(self.opened_at) if self.opened_at else ""
        return ids.derive_id("alert", self.subject, self.rule_id, self.number, opened)

    def under_another_rule(self) -> "Episode":
        """Over, with its number: the rule of that id was changed, and the next episode is another one."""
        return Episode(self.subject, self.rule_id, self.number)


def evaluate(rule: Rule, measure: Measure, episode: Episode) -> tuple[Episode, bool]:
    """The episode after the measure, and whether an alert is raised now.

    A measure that is not newer than the last one changes nothing; one without a value neither. `peak` is the largest
    value of the episode.
    """
    if measure.value is None or (episode.measured_at is not None and measure.at <= episode.measured_at):
        return episode, False
    seen = replace(episode, measured_at=measure.at)
    if measure.value <= rule.limit:
        return (replace(seen, is_open=False, closed_at=measure.at) if episode.is_open else seen), False
    if episode.is_open:
        return replace(seen, peak=max(measure.value, episode.peak or measure.value)), False
    begun = replace(
        seen, number=episode.number + 1, is_open=True, opened_at=measure.at, closed_at=None, peak=measure.value
    )
    return begun, True


def first_episode(subject: str, rule: Rule) -> Episode:
    """The state of a rule that was never outside; `subject` is the id of the portfolio."""
    return Episode(subject, rule.rule_id)


def evaluate_all(
    rules: Iterable[Rule], measures: Mapping[RuleKind, Measure], episodes: Mapping[str, Episode], subject: str
) -> tuple[dict[str, Episode], list[tuple[Rule, Episode]]]:
    """Every rule at its measure: the episodes by rule, and the rules that raise an alert now with their episodes.

    Rules that are not there any more lose their episodes; a rule without a measure keeps its own.
    """
    after: dict[str, Episode] = {}
    raised = []
    for rule in rules:
        episode = episodes.get(rule.rule_id) or first_episode(subject, rule)
        measure = measures.get(rule.kind)
        is_raised = False
        if measure is not None:
            episode, is_raised = evaluate(rule, measure, episode)
        after[rule.rule_id] = episode
        if is_raised:
            raised.append((rule, episode))
    return after, raised
