"""Alert rules and episodes: one alert per episode.

An episode begins when a measurement exceeds the limit of its rule, and ends when a later measurement is below the
limit by more than the hysteresis: a measurement that swings about the limit raises one alert. The caller stores the
episode of each rule in the same write as the alert, so a repeated or late measurement raises nothing twice.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import assert_never

from msgspec import Struct
from msgspec.structs import replace

from trimtab.kernel import ids
from trimtab.kernel.clock import format_time
from trimtab.kernel.errors import Invalid
from trimtab.kernel.money import CONTEXT, HUNDRED, ZERO, plain

MAX_RULES = 20
DEFAULT_HYSTERESIS = Decimal("0.1")
"""The hysteresis of a rule without one of its own, as a share of the threshold."""


class AlertKind(StrEnum):
    """The measurement that a rule watches.

    The first three are percents of the portfolio: one-day value at risk, current drawdown, drift from target. STALE
    watches whether the portfolio is stale, MISSING_DATA the number of symbols without a close of the last day.
    """

    VAR_ABOVE = "var_above"
    DRAWDOWN_ABOVE = "drawdown_above"
    DRIFT_ABOVE = "drift_above"
    STALE = "stale"
    MISSING_DATA = "missing_data"

    @property
    def has_threshold(self) -> bool:
        """True where a rule chooses its limit; the other kinds have the limit 0."""
        match self:
            case AlertKind.VAR_ABOVE | AlertKind.DRAWDOWN_ABOVE | AlertKind.DRIFT_ABOVE:
                return True
            case AlertKind.STALE | AlertKind.MISSING_DATA:
                return False
            case _:
                assert_never(self)


class AlertRule(Struct, frozen=True, omit_defaults=True):
    """A kind with its threshold, a percent above 0 and at most 100; a measurement equal to the threshold is inside.

    After an alert, the next one needs a measurement below the threshold less `hysteresis` in between. `hysteresis` is
    in percentage points, from 0 to less than the threshold; None is a tenth of the threshold.

    Raises `Invalid` for a threshold or a hysteresis that is missing, out of range, or given to a kind without one.
    """

    rule_id: str
    kind: AlertKind
    threshold: Decimal | None = None
    hysteresis: Decimal | None = None

    def __post_init__(self) -> None:
        if self.kind.has_threshold and (self.threshold is None or not 0 < self.threshold <= HUNDRED):
            raise Invalid("invalid_threshold", f"{self.kind} needs a `threshold` above 0 and at most 100 percent.")
        if not self.kind.has_threshold and self.threshold is not None:
            raise Invalid("invalid_threshold", f"{self.kind} takes no `threshold`.")
        if self.hysteresis is not None and not 0 <= self.hysteresis < self.limit:
            raise Invalid("invalid_hysteresis", "`hysteresis` must be from 0 to less than the `threshold`.")

    @property
    def limit(self) -> Decimal:
        """The largest value that is inside."""
        return ZERO if self.threshold is None else self.threshold

    @property
    def rearm_below(self) -> Decimal | None:
        """The value below which an episode ends, in percent; None for kinds without a threshold, which end at 0."""
        if self.threshold is None:
            return None
        hysteresis = self.hysteresis
        if hysteresis is None:
            hysteresis = CONTEXT.multiply(self.threshold, DEFAULT_HYSTERESIS)
        return self.threshold - hysteresis

    def ends_episode(self, value: Decimal) -> bool:
        """Return True for a value that is far enough inside to end an episode."""
        return value <= ZERO if self.rearm_below is None else value < self.rearm_below


class Measurement(Struct, frozen=True):
    """A measured value (a percent or a count) with its time; a `value` of None is neither inside nor outside.

    `detail` says what was measured, or names the symbols concerned.
    """

    at: datetime
    value: Decimal | None
    detail: str = ""


class Episode(Struct, frozen=True, omit_defaults=True):
    """The newest episode of a rule; `number` 0 before the first.

    `measured_at` is the time of the newest measurement and `peak` the largest value of the episode.
    """

    rule_id: str
    number: int = 0
    is_open: bool = False
    opened_at: datetime | None = None
    closed_at: datetime | None = None
    measured_at: datetime | None = None
    peak: Decimal | None = None

    def alert_id(self, portfolio_id: str) -> str:
        """Return the id of the episode's alert.

        The opening time is part of the id: a rule that was removed and set again counts its episodes from one again.
        """
        opened = format_time(self.opened_at) if self.opened_at else ""
        return ids.derive_id("alert", portfolio_id, self.rule_id, self.number, opened)

    def reset(self) -> "Episode":
        """Return an ended episode with the same number, for a rule that has changed."""
        return Episode(self.rule_id, self.number)


class AlertText(Struct, frozen=True):
    """Title and sentence of an alert, as people read them."""

    title: str
    text: str


def evaluate_rule(rule: AlertRule, measurement: Measurement, episode: Episode) -> tuple[Episode, bool]:
    """Return the episode after the measurement, and True where an alert is raised.

    A measurement without a value, or not newer than the last one, changes nothing.

    >>> rule = AlertRule("fall", AlertKind.DRAWDOWN_ABOVE, Decimal(10))
    >>> outside = Measurement(datetime(2026, 11, 20), Decimal(12))
    >>> episode, is_raised = evaluate_rule(rule, outside, Episode("fall"))
    >>> episode.number, is_raised
    (1, True)
    """
    value = measurement.value
    if value is None or (episode.measured_at is not None and measurement.at <= episode.measured_at):
        return episode, False
    seen = replace(episode, measured_at=measurement.at)
    if episode.is_open and rule.ends_episode(value):
        return replace(seen, is_open=False, closed_at=measurement.at), False
    if episode.is_open:
        return replace(seen, peak=max(value, episode.peak or value)), False
    if value <= rule.limit:
        return seen, False
    opened = replace(
        seen, number=episode.number + 1, is_open=True, opened_at=measurement.at, closed_at=None, peak=value
    )
    return opened, True


def evaluate_rules(
    rules: Iterable[AlertRule], measurements: Mapping[AlertKind, Measurement], episodes: Mapping[str, Episode]
) -> tuple[dict[str, Episode], list[tuple[AlertRule, Episode]]]:
    """Return the episodes by rule id, and each rule that raises an alert with its episode.

    Episodes of removed rules are dropped; a rule without a measurement keeps its episode.
    """
    after: dict[str, Episode] = {}
    raised = []
    for rule in rules:
        episode = episodes.get(rule.rule_id) or Episode(rule.rule_id)
        measurement = measurements.get(rule.kind)
        is_raised = False
        if measurement is not None:
            episode, is_raised = evaluate_rule(rule, measurement, episode)
        after[rule.rule_id] = episode
        if is_raised:
            raised.append((rule, episode))
    return after, raised


def describe_alert(rule: AlertRule, measurement: Measurement, portfolio: str) -> AlertText:
    """Return the words of an alert; `portfolio` is the portfolio's name with its id."""
    exceeded = f"{portfolio}: {plain(measurement.value or ZERO)} %, above the limit of {plain(rule.limit)} %."
    match rule.kind:
        case AlertKind.VAR_ABOVE:
            return AlertText("Value at risk above its limit", exceeded)
        case AlertKind.DRAWDOWN_ABOVE:
            return AlertText("Drawdown above its limit", exceeded)
        case AlertKind.DRIFT_ABOVE:
            return AlertText("Drift above its limit", exceeded)
        case AlertKind.STALE:
            text = f"{portfolio} is stale: no trades and no rebalances until an operator resolves the portfolio."
            return AlertText("Portfolio needs an operator", text)
        case AlertKind.MISSING_DATA:
            return AlertText(
                "Prices are missing", f"{portfolio}: symbols without a close of the last day: {measurement.detail}."
            )
        case _:
            assert_never(rule.kind)
