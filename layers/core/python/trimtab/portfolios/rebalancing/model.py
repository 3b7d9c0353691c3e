"""A rebalance: what asked for it, the decision about it and its reason, and the execution where there is one."""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from trimtab.contracts.events import Event, pack_events
from trimtab.contracts.messages import CheckRequested, ExecutionRequested, RebalanceRequested, TenantMessage
from trimtab.contracts.portfolios import PortfolioStatus
from trimtab.kernel import ids
from trimtab.kernel.clock import format_time, parse_time
from trimtab.kernel.money import HUNDRED, ZERO, plain
from trimtab.portfolios.portfolio.keys import item_key, portfolio_id_in
from trimtab.portfolios.portfolio.model import Portfolio, ReportMark, portfolio_id_of
from trimtab.portfolios.portfolio.pending_jobs import PendingJob, WorkerQueue
from trimtab.portfolios.portfolio.policy import Band, Mode
from trimtab.portfolios.portfolio.watch_state import Trigger
from trimtab.portfolios.portfolio.weights_text import pack_weights, unpack_weights
from trimtab.portfolios.rebalancing import drift as plan
from trimtab.portfolios.rebalancing import journal_text
from trimtab.portfolios.rebalancing.drift import CASH, Leg, Transaction
from trimtab.portfolios.rebalancing.journal import Execution

REBALANCE_PREFIX = "REBALANCE#"
MAX_CLOCK_LEAD = timedelta(minutes=5)
NO_BAND = Band()


class RebalanceStatus(StrEnum):
    """The states of a rebalance."""

    REQUESTED = "REQUESTED"
    NO_ACTION = "NO_ACTION"
    COMPLETED = "COMPLETED"
    REJECTED = "REJECTED"
    SUPERSEDED = "SUPERSEDED"
    CANCELLED = "CANCELLED"
    PLANNED = "PLANNED"
    EXECUTING = "EXECUTING"
    COMPENSATING = "COMPENSATING"
    COMPLETED_ADJUSTED = "COMPLETED_ADJUSTED"
    ROLLED_BACK = "ROLLED_BACK"
    STALE = "STALE"
    RESOLVED = "RESOLVED"


_S = RebalanceStatus
TRANSITIONS: Mapping[RebalanceStatus, frozenset[RebalanceStatus]] = {
    _S.REQUESTED: frozenset({_S.NO_ACTION, _S.COMPLETED, _S.REJECTED, _S.SUPERSEDED, _S.CANCELLED, _S.PLANNED}),
    _S.PLANNED: frozenset({_S.EXECUTING, _S.CANCELLED}),
    _S.EXECUTING: frozenset({_S.COMPLETED, _S.COMPLETED_ADJUSTED, _S.COMPENSATING, _S.STALE}),
    _S.COMPENSATING: frozenset({_S.ROLLED_BACK, _S.STALE}),
    _S.STALE: frozenset({_S.RESOLVED}),
}
"""The one transition table; a state that it does not name is final."""

WITH_THE_BROKER = frozenset({_S.PLANNED, _S.EXECUTING, _S.COMPENSATING})
"""The states in which the portfolio is locked and the execution worker has something to do."""

_EVENTS = {
    _S.REJECTED: "rebalance.rejected",
    _S.SUPERSEDED: "rebalance.rejected",
    _S.CANCELLED: "rebalance.cancelled",
    _S.ROLLED_BACK: "rebalance.rolled_back",
    _S.NO_ACTION: "rebalance.completed",
    _S.COMPLETED: "rebalance.completed",
    _S.COMPLETED_ADJUSTED: "rebalance.completed",
}


class Why(Struct, frozen=True):
    """The reason of a decision: the rule that decided, in words, and the numbers that it looked at."""

    rule: str
    detail: str
    facts: Mapping[str, Any] = field(default_factory=dict)


class Report(Struct, frozen=True):
    """What a client reports: the weights that a user's portfolio has come to, and when they were true."""

    user_id: str
    name: str
    weights: Mapping[str, Decimal]
    as_of: datetime | None
    request_id: str

    def hash(self) -> str:
        """Tells a repeat of the report from another one under its request id, however the numbers are written."""
        weights = {asset: plain(weight) for asset, weight in self.weights.items()}
        return ids.fingerprint(self.user_id, self.name, weights, self.as_of and format_time(self.as_of))


class Rebalance(PendingJob, frozen=True, kw_only=True):
    """One rebalance and what became of it.

    For a drift report, `weights` are the reported ones and `as_of` is when they were true; its outcome is a set of
    transactions. For any other trigger `weights` are those that the check found, and `execution` is what the broker is
    asked for. `note` is what was asked beside: the mode of a run, the resolution of a stale one.
    """

    rebalance_id: str
    user_id: str
    name: str
    request_id: str
    request_hash: str
    weights: Mapping[str, Decimal]
    as_of: datetime
    created_at: datetime
    as_of_given: bool = True
    status: RebalanceStatus = RebalanceStatus.REQUESTED
    trigger: Trigger = Trigger.REPORT
    mode: Mode | None = None
    legs: tuple[Leg, ...] = ()
    why: Why | None = None
    execution: Execution | None = None
    resolution: Mapping[str, Any] | None = None

    @property
    def transactions(self) -> tuple[Transaction, ...]:
        """What leads back to the target: sells first, each above zero; cash is not one of them."""
        return tuple(each for each in plan.transactions(self.legs) if each.asset != CASH)

    @property
    def mark(self) -> ReportMark:
        """Where the report stands in the order of reports."""
        return ReportMark(self.as_of, self.rebalance_id)

    @property
    def is_with_the_broker(self) -> bool:
        """Whether the execution worker has something to do about it."""
        return self.status in WITH_THE_BROKER

    @property
    def is_open(self) -> bool:
        """Whether a worker has something to do about it."""
        return self.status is RebalanceStatus.REQUESTED or self.is_with_the_broker

    @property
    def waits_from(self) -> datetime:
        """When the rebalance began to wait for its worker; a delay that the worker asked for is no waiting."""
        wake_at = self.execution.wake_at if self.execution else None
        return max(self.updated_at, wake_at or self.updated_at)

    def wake_message(self) -> tuple[WorkerQueue, TenantMessage]:
        """Return the message that wakes the worker of the present state."""
        if self.is_with_the_broker:
            return WorkerQueue.EXECUTIONS, ExecutionRequested(
                tenant_id=self.tenant_id,
                portfolio_id=self.portfolio_id,
                rebalance_id=self.rebalance_id,
            )
        if self.trigger is not Trigger.REPORT:
            return WorkerQueue.CHECKS, CheckRequested(
                tenant_id=self.tenant_id,
                portfolio_id=self.portfolio_id,
                trigger="person",
                rebalance_id=self.rebalance_id,
            )
        return WorkerQueue.REBALANCE_REQUESTS, RebalanceRequested(
            tenant_id=self.tenant_id,
            request_id=self.request_id,
            user_id=self.user_id,
            name=self.name,
            new_allocation=dict(self.weights),
            as_of=self.as_of if self.as_of_given else None,
        )

    def mark_stuck(self, now: datetime) -> "Rebalance":
        """Return the rebalance as given up, with the event that alerts an operator."""
        event = Event("rebalance.stuck", {"rebalance_id": self.rebalance_id, "portfolio_id": self.portfolio_id})
        return replace(self, is_stuck=True, version=self.version + 1, updated_at=now, events=(event,))

    def moved_to(self, status: RebalanceStatus, now: datetime, **changes: Any) -> "Rebalance":
        """In another state, with the event that says so where it is one for others to hear."""
        if status is not self.status and status not in TRANSITIONS.get(self.status, frozenset()):
            raise ValueError(f"a rebalance does not go from {self.status} to {status}")
        moved = replace(
            self,
            status=status,
            version=self.version + 1,
            updated_at=now,
            **{"resends": 0, "is_stuck": False, **changes},
        )
        told = status in _EVENTS and status is not self.status
        return replace(moved, events=(moved._event(_EVENTS[status]),) if told else ())

    def decided(self, status: RebalanceStatus, why: Why, now: datetime, all_legs: tuple[Leg, ...] = ()) -> "Rebalance":
        """With its outcome, and the event that says so; only a request is decided, and only once."""
        if self.status is not RebalanceStatus.REQUESTED or status is self.status:
            raise ValueError(f"a decision does not go from {self.status} to {status}")
        return self.moved_to(status, now, why=why, legs=all_legs, resends=self.resends, is_stuck=self.is_stuck)

    # Stored form -------------------------------------------------------------------------------------------------

    def to_item(self) -> dict[str, Any]:
        """Return the plain values of the rebalance's item."""
        return {
            **item_key(self.tenant_id, self.portfolio_id, REBALANCE_PREFIX + self.rebalance_id),
            "by_time": REBALANCE_PREFIX + format_time(self.created_at),
            **self.index_keys(self.rebalance_id),
            "tenant_id": self.tenant_id,
            "user_id": self.user_id,
            "name": self.name,
            "request_id": self.request_id,
            "request_hash": self.request_hash,
            # A decided leg names its reported weight: the weights are kept once.
            "weights": None if self.legs else pack_weights(self.weights),
            "legs": _pack_legs(self.legs) if self.legs else None,
            "as_of": format_time(self.as_of),
            "as_of_given": self.as_of_given,
            "status": self.status.value,
            "trigger": None if self.trigger is Trigger.REPORT else self.trigger.value,
            "mode": self.mode and self.mode.value,
            "execution": self.execution and journal_text.pack(self.execution),
            "resolution": self.resolution and json.dumps(self.resolution, separators=(",", ":")),
            "why": self.why and json.dumps([self.why.rule, self.why.detail, self.why.facts], separators=(",", ":")),
            "resends": self.resends or None,
            "is_stuck": self.is_stuck or None,
            "version": self.version,
            "updated_at": format_time(self.updated_at),
            "events": pack_events(self.events),
        }

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> "Rebalance":
        """Return the rebalance of an item."""
        legs = _unpack_legs(item["legs"]) if "legs" in item else ()
        rebalance_id = item["sk"].removeprefix(REBALANCE_PREFIX)
        return cls(
            tenant_id=item["tenant_id"],
            portfolio_id=portfolio_id_in(item["pk"]),
            rebalance_id=rebalance_id,
            user_id=item["user_id"],
            name=item["name"],
            request_id=item["request_id"],
            request_hash=item["request_hash"],
            weights={leg.asset: leg.drifted for leg in legs} if legs else unpack_weights(item.get("weights")),
            as_of=parse_time(item["as_of"]),
            as_of_given=item["as_of_given"],
            created_at=parse_time(item["by_time"].removeprefix(REBALANCE_PREFIX)),
            updated_at=parse_time(item["updated_at"]),
            status=RebalanceStatus(item["status"]),
            legs=legs,
            trigger=Trigger(item.get("trigger", Trigger.REPORT)),
            mode=Mode(item["mode"]) if "mode" in item else None,
            why=Why(*json.loads(item["why"])) if "why" in item else None,
            execution=journal_text.unpack(item["execution"], rebalance_id) if "execution" in item else None,
            resolution=json.loads(item["resolution"]) if "resolution" in item else None,
            resends=item.get("resends", 0),
            is_stuck=item.get("is_stuck", False),
            version=item["version"],
        )

    def _event(self, type: str) -> Event:
        data = {
            "rebalance_id": self.rebalance_id,
            "portfolio_id": self.portfolio_id,
            "user_id": self.user_id,
            "request_id": self.request_id,
            "status": self.status.value,
            "rule": self.why.rule if self.why else "",
        }
        return Event(type, data)


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
    total = sum(report.weights.values(), ZERO)
    newest = portfolio.last_report
    stale = f"The portfolio is stale until an operator resolves it: {portfolio.stale_reason}."
    rules = (
        (portfolio.status is PortfolioStatus.CLOSED, "closed", "The portfolio is closed; create it again to open it."),
        (portfolio.status is PortfolioStatus.STALE, "stale", stale),
        (total != HUNDRED, "not_100", f"The weights sum to {plain(total)}; they must sum to exactly 100."),
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
    far = plan.outside(legs, plan.within(band))
    cooldown_end = portfolio.reports_cool_down_until()
    facts = _facts(portfolio, legs, band, far)
    if not far:
        return RebalanceStatus.NO_ACTION, Why("within_band", "Every weight is within its band.", facts), legs
    if cooldown_end is not None and report.as_of < cooldown_end:
        facts["cooldown_until"] = format_time(cooldown_end)
        return RebalanceStatus.NO_ACTION, Why("cooldown", "The last rebalance was too short a time ago.", facts), legs
    moved = plan.moved(legs, plan.within(band), portfolio.policy.destination)
    return RebalanceStatus.COMPLETED, Why("outside_band", "At least one weight is outside its band.", facts), moved


def _facts(portfolio: Portfolio, legs: tuple[Leg, ...], band: Band, far: tuple[Leg, ...]) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "revision": portfolio.revision,
        "drift": plain(plan.drift(legs)),
        "band": {"type": band.type.value, "value": plain(band.value)},
        "destination": portfolio.policy.destination.value,
        "outside": len(far),
    }
    if band.points:
        facts["band"]["points"] = plain(band.points)
    return facts


def _pack_legs(legs: Iterable[Leg]) -> str:
    return ",".join(f"{leg.asset}:{plain(leg.drifted)}:{plain(leg.target)}:{plain(leg.change)}" for leg in legs)


def _unpack_legs(text: str) -> tuple[Leg, ...]:
    rows = (row.split(":") for row in text.split(","))
    return tuple(Leg(asset, *(Decimal(number) for number in numbers)) for asset, *numbers in rows)
