"""A rebalance: a drift report, the decision about it, and the reason for that decision."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

from trimtab.contracts.events import Event
from trimtab.kernel import ids, money
from trimtab.kernel.clock import format_time
from trimtab.portfolios.domain import plan
from trimtab.portfolios.domain.open_work import OpenWork
from trimtab.portfolios.domain.plan import Leg, Transaction
from trimtab.portfolios.domain.policy import Band
from trimtab.portfolios.domain.portfolio import Portfolio, PortfolioStatus, ReportMark, portfolio_id_of

MAX_CLOCK_LEAD = timedelta(minutes=5)
NO_BAND = Band()


class RebalanceStatus(StrEnum):
    """The states of a rebalance."""

    REQUESTED = "REQUESTED"
    NO_ACTION = "NO_ACTION"
    COMPLETED = "COMPLETED"
    REJECTED = "REJECTED"
    SUPERSEDED = "SUPERSEDED"


TRANSITIONS: Mapping[RebalanceStatus, frozenset[RebalanceStatus]] = {
    RebalanceStatus.REQUESTED: frozenset(
        {
            RebalanceStatus.NO_ACTION,
            RebalanceStatus.COMPLETED,
            RebalanceStatus.REJECTED,
            RebalanceStatus.SUPERSEDED,
        }
    ),
}
"""The one transition table; a state that it does not name is final."""


@dataclass(frozen=True, slots=True)
class Why:
    """The reason of a decision: the rule that decided, in words, and the numbers that it looked at."""

    rule: str
    detail: str
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Report:
    """What a client reports: the weights that a user's portfolio has come to, and when they were true."""

    user_id: str
    name: str
    weights: Mapping[str, Decimal]
    as_of: datetime | None
    request_id: str

    def hash(self) -> str:
        """Tells a repeat of the report from another one under its request id, however the numbers are written."""
        weights = {asset: money.plain(weight) for asset, weight in self.weights.items()}
        return ids.fingerprint(self.user_id, self.name, weights, self.as_of and format_time(self.as_of))


@dataclass(frozen=True, slots=True)
class Rebalance(OpenWork):
    """One drift report and what became of it. `weights` are the reported ones, `as_of` when they were true."""

    tenant_id: str
    portfolio_id: str
    rebalance_id: str
    user_id: str
    name: str
    request_id: str
    request_hash: str
    weights: Mapping[str, Decimal]
    as_of: datetime
    created_at: datetime
    updated_at: datetime
    as_of_given: bool = True
    status: RebalanceStatus = RebalanceStatus.REQUESTED
    legs: tuple[Leg, ...] = ()
    why: Why | None = None
    resends: int = 0
    is_stuck: bool = False
    version: int = 1
    events: tuple[Event, ...] = field(default=(), compare=False)

    @property
    def transactions(self) -> tuple[Transaction, ...]:
        """What leads back to the target: sells first, each above zero, sums equal."""
        return plan.transactions(self.legs)

    @property
    def mark(self) -> ReportMark:
        """Where the report stands in the order of reports."""
        return ReportMark(self.as_of, self.rebalance_id)

    def stuck(self, now: datetime) -> "Rebalance":
        """Given up by the sweeper, with the event that alerts an operator; a late message still decides it."""
        event = Event("rebalance.stuck", {"rebalance_id": self.rebalance_id, "portfolio_id": self.portfolio_id})
        return replace(self, is_stuck=True, version=self.version + 1, updated_at=now, events=(event,))

    def decided(self, status: RebalanceStatus, why: Why, now: datetime, all_legs: tuple[Leg, ...] = ()) -> "Rebalance":
        """With its outcome, and the event that says so."""
        if status not in TRANSITIONS.get(self.status, frozenset()):
            raise ValueError(f"a rebalance does not go from {self.status} to {status}")
        refused = status in {RebalanceStatus.REJECTED, RebalanceStatus.SUPERSEDED}
        data = {
            "rebalance_id": self.rebalance_id,
            "portfolio_id": self.portfolio_id,
            "user_id": self.user_id,
            "request_id": self.request_id,
            "status": status.value,
            "rule": why.rule,
        }
        return replace(
            self,
            status=status,
            why=why,
            legs=all_legs,
            version=self.version + 1,
            updated_at=now,
            events=(Event("rebalance.rejected" if refused else "rebalance.completed", data),),
        )


def rebalance_id_of(portfolio_id: str, request_id: str) -> str:
    """The id of the rebalance that this request asks for: the same for every repeat of it."""
    return ids.derive_id(portfolio_id, request_id)


def requested(tenant_id: str, report: Report, as_of: datetime, now: datetime) -> Rebalance:
    """The first version of the rebalance that the report asks for."""
    portfolio_id = portfolio_id_of(tenant_id, report.user_id, report.name)
    return Rebalance(
        tenant_id=tenant_id,
        portfolio_id=portfolio_id,
        rebalance_id=rebalance_id_of(portfolio_id, report.request_id),
        user_id=report.user_id,
        name=report.name,
        request_id=report.request_id,
        request_hash=report.hash(),
        weights=report.weights,
        as_of=as_of,
        as_of_given=report.as_of is not None,
        created_at=now,
        updated_at=now,
    )


def refusal(portfolio: Portfolio | None, report: Rebalance, now: datetime) -> Why | None:
    """The rule that turns the report down, None if it can be planned.

    Over HTTP the same rules answer at once; on a queue they are the recorded outcome.
    """
    if portfolio is None:
        return Why("unknown_portfolio", "The user has no portfolio of this name.")
    total = sum(report.weights.values(), money.ZERO)
    newest = portfolio.last_report
    stale = f"The portfolio is stale until an operator resolves it: {portfolio.stale_reason}."
    rules = (
        (portfolio.status is PortfolioStatus.CLOSED, "closed", "The portfolio is closed; create it again to open it."),
        (portfolio.status is PortfolioStatus.STALE, "stale", stale),
        (total != money.HUNDRED, "not_100", f"The weights sum to {money.plain(total)}; they must sum to exactly 100."),
        (not portfolio.allocation, "no_target", "The portfolio has no target allocation; set one first."),
        (report.as_of > now + MAX_CLOCK_LEAD, "as_of_in_future", "as_of lies more than 5 minutes ahead."),
        (
            newest is not None and report.mark < newest,
            "stale_as_of",
            "A newer report was applied; this one is too old.",
        ),
    )
    return next((Why(rule, detail) for holds, rule, detail in rules if holds), None)


def decide(portfolio: Portfolio | None, report: Rebalance, now: datetime) -> tuple[Rebalance, Portfolio | None]:
    """The outcome of a report, and the portfolio after it (None where it is not touched).

    Pure: the same portfolio, report and time always give the same outcome.
    """
    why = refusal(portfolio, report, now)
    if portfolio is None or why is not None:
        assert why is not None  # noqa: S101 - an unknown portfolio is always refused
        superseded = why.rule == "stale_as_of"
        status = RebalanceStatus.SUPERSEDED if superseded else RebalanceStatus.REJECTED
        return report.decided(status, why, now), None
    status, why, legs = evaluate(portfolio, report)
    rebalanced = status is RebalanceStatus.COMPLETED
    return report.decided(status, why, now, legs), portfolio.advanced(now, report.mark, rebalanced=rebalanced)


def evaluate(portfolio: Portfolio, report: Rebalance) -> tuple[RebalanceStatus, Why, tuple[Leg, ...]]:
    """Whether the reported weights call for a rebalance, and where each leg moves then."""
    legs = plan.legs(report.weights, portfolio.allocation)
    band = portfolio.policy.band or NO_BAND
    far = plan.outside(legs, band)
    cooldown_end = portfolio.cools_down_until()
    facts = _facts(portfolio, legs, band, far)
    if not far:
        return RebalanceStatus.NO_ACTION, Why("within_band", "Every weight is within its band.", facts), legs
    if cooldown_end is not None and report.as_of < cooldown_end:
        facts["cooldown_until"] = format_time(cooldown_end)
        return RebalanceStatus.NO_ACTION, Why("cooldown", "The last rebalance was too short a time ago.", facts), legs
    moved = plan.moved(legs, band, portfolio.policy.destination)
    return RebalanceStatus.COMPLETED, Why("outside_band", "At least one weight is outside its band.", facts), moved


def _facts(portfolio: Portfolio, legs: tuple[Leg, ...], band: Band, far: tuple[Leg, ...]) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "revision": portfolio.revision,
        "drift": money.plain(plan.drift(legs)),
        "band": {"type": band.type.value, "value": money.plain(band.value)},
        "destination": portfolio.policy.destination.value,
        "outside": len(far),
    }
    if band.points:
        facts["band"]["points"] = money.plain(band.points)
    return facts
