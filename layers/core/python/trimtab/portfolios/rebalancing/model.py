"""Rebalance of a portfolio: the decision with its reason, and the orders that execute the decision."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

import msgspec
from msgspec import Struct, field
from msgspec.structs import replace

from trimtab.contracts.events import Event
from trimtab.contracts.messages import CheckRequested, ExecutionRequested, RebalanceRequested, TenantMessage
from trimtab.contracts.stored_form import UnknownForm, form_version, from_attributes, pack, to_attributes, unpack
from trimtab.kernel import ids
from trimtab.kernel.clock import format_time, to_epoch_milliseconds
from trimtab.kernel.currencies import USD
from trimtab.kernel.money import plain
from trimtab.portfolios.portfolio.keys import attention_partition, item_key, portfolio_id_in
from trimtab.portfolios.portfolio.model import Portfolio, ReportMark
from trimtab.portfolios.portfolio.pending_jobs import PendingJob, WorkerQueue
from trimtab.portfolios.portfolio.policy import Mode
from trimtab.portfolios.portfolio.watch_state import Trigger
from trimtab.portfolios.portfolio.weights_text import pack_weights, unpack_weights
from trimtab.portfolios.rebalancing.drift import CASH, Leg, Transaction, list_transactions
from trimtab.portfolios.rebalancing.journal import Execution, pack_execution, unpack_execution

REBALANCE_PREFIX = "REBALANCE#"


class RebalanceStatus(StrEnum):
    """Status of a rebalance; `TRANSITIONS` lists the valid changes of status."""

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
"""The only transition table; a status without an entry is final."""

IN_EXECUTION = frozenset({_S.PLANNED, _S.EXECUTING, _S.COMPENSATING})
"""Statuses in which the portfolio is locked and the execution worker has a next step."""

EVENT_TYPES = {
    _S.REJECTED: "rebalance.rejected",
    _S.SUPERSEDED: "rebalance.rejected",
    _S.CANCELLED: "rebalance.cancelled",
    _S.ROLLED_BACK: "rebalance.rolled_back",
    _S.NO_ACTION: "rebalance.completed",
    _S.COMPLETED: "rebalance.completed",
    _S.COMPLETED_ADJUSTED: "rebalance.completed",
}
"""Type of the event of each status that has one."""


class Reason(Struct, frozen=True):
    """Reason of a decision: a code for programs, a sentence for people, and the numbers behind the decision."""

    code: str
    message: str
    details: Mapping[str, Any] = field(default_factory=dict)


class Withdrawal(Struct, frozen=True, omit_defaults=True):
    """A withdrawal whose cash a rebalance raises: the amount in `currency`, and whether it was paid."""

    amount: Decimal
    is_paid: bool = False
    currency: str = USD


class Rebalance(PendingJob, frozen=True, kw_only=True):
    """One rebalance of a portfolio, from the request to the outcome.

    For a drift report, `weights` are the reported weights (percent), `as_of` is their time, and the outcome is a set of
    transactions. For every other trigger `weights` are the weights that the check found, and `execution` holds the
    orders. `legs` hold the weight, target and planned change of each asset (percent), empty until decided.
    `resolution` records how an operator resolved a STALE rebalance. `decide_at` is the time until which a requested
    rebalance waits. `withdrawal` is set where the orders raise the cash of a withdrawal. `history` has the time of each
    status since PLANNED (Unix time in milliseconds); no status comes twice. `normalised_sum` is the sum of the reported
    weights in percent before their correction, None where they were not corrected.
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
    decide_at: datetime | None = None
    reason: Reason | None = None
    execution: Execution | None = None
    resolution: Mapping[str, Any] | None = None
    withdrawal: Withdrawal | None = None
    history: Mapping[RebalanceStatus, int] = field(default_factory=dict)
    normalised_sum: Decimal | None = None

    @property
    def transactions(self) -> tuple[Transaction, ...]:
        """Transactions that produce the planned weights, sells first; the change of cash is not included."""
        return tuple(each for each in list_transactions(self.legs) if each.asset != CASH)

    @property
    def report_mark(self) -> ReportMark:
        """Key by which a portfolio orders its drift reports: time, then rebalance id."""
        return ReportMark(self.as_of, self.rebalance_id)

    @property
    def is_in_execution(self) -> bool:
        """True while the execution worker has a next step."""
        return self.status in IN_EXECUTION

    @property
    def is_open(self) -> bool:
        """True while a worker has a next step."""
        return self.status is RebalanceStatus.REQUESTED or self.is_in_execution

    @property
    def waits_from(self) -> datetime:
        """Time since which a worker is due: the last write, or the worker's own wake-up time if that is later."""
        wake_at = self.execution.wake_at if self.execution else None
        return max(self.updated_at, wake_at or self.updated_at)

    @property
    def due_at(self) -> datetime:
        """Time from which the job is overdue; a requested rebalance that waits is woken at the end of its wait."""
        is_waiting = self.decide_at is not None and self.decide_at > self.updated_at
        return self.decide_at if self.decide_at and is_waiting else super().due_at

    def wait_until(self, decide_at: datetime, reason: Reason, now: datetime) -> "Rebalance":
        """Return the requested rebalance that is decided later: the sweeper wakes the worker at `decide_at`."""
        return self.transition(RebalanceStatus.REQUESTED, now, reason=reason, decide_at=decide_at)

    def index_keys(self, job_id: str) -> dict[str, str]:
        """Return the keys of the sweeper's index; a stuck execution is listed among what waits for a person instead."""
        if self.is_stuck and self.is_in_execution and self.expires_at is None:
            since = format_time(self.updated_at)
            return {"pending_jobs_pk": attention_partition(self.tenant_id), "pending_jobs_sk": since}
        return super().index_keys(job_id)

    @property
    def expires_at(self) -> datetime | None:
        """Deadline of a planned rebalance, after which the sweeper cancels it unsent; None in every other state."""
        return self.execution.deadline if self.execution and self.status is RebalanceStatus.PLANNED else None

    def has_expired_unsent(self, now: datetime) -> bool:
        """Return whether the deadline passed before an order was sent."""
        return self.expires_at is not None and self.expires_at <= now

    def wake_message(self) -> tuple[WorkerQueue, TenantMessage]:
        """Return the message that wakes the worker of the present status, and the queue of the worker."""
        ids_of_portfolio = {"tenant_id": self.tenant_id, "portfolio_id": self.portfolio_id}
        if self.is_in_execution:
            return WorkerQueue.EXECUTIONS, ExecutionRequested(**ids_of_portfolio, rebalance_id=self.rebalance_id)
        if self.trigger is not Trigger.REPORT:
            return WorkerQueue.CHECKS, CheckRequested(
                **ids_of_portfolio, trigger="manual", rebalance_id=self.rebalance_id
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
        """Return the rebalance marked as stuck (no longer resent), with the event that alerts an operator."""
        event = Event("rebalance.stuck", {"rebalance_id": self.rebalance_id, "portfolio_id": self.portfolio_id})
        return replace(self, is_stuck=True, version=self.version + 1, updated_at=now, events=(event,))

    def transition(self, status: RebalanceStatus, now: datetime, **changes: Any) -> "Rebalance":
        """Return the next version with a status, other changes, and the event of the new status.

        `resends` and `is_stuck` are reset, because the rebalance has made progress. Raises `ValueError` for a change of
        status that is not in `TRANSITIONS`.
        """
        if status is not self.status and status not in TRANSITIONS.get(self.status, frozenset()):
            raise ValueError(f"invalid transition of a rebalance from {self.status} to {status}")
        changes = {"resends": 0, "is_stuck": False, "decide_at": None, **changes}
        if status is not self.status and changes.get("execution", self.execution) is not None:
            changes["history"] = {**self.history, status: to_epoch_milliseconds(now)}
        moved = replace(self, status=status, version=self.version + 1, updated_at=now, **changes)
        has_event = status in EVENT_TYPES and status is not self.status
        return replace(moved, events=(moved._event(EVENT_TYPES[status]),) if has_event else ())

    def record_outcome(
        self, status: RebalanceStatus, reason: Reason, now: datetime, legs: tuple[Leg, ...] = ()
    ) -> "Rebalance":
        """Return the request with its outcome and event; raises `ValueError` unless the status is REQUESTED."""
        if self.status is not RebalanceStatus.REQUESTED or status is self.status:
            raise ValueError(f"invalid outcome of a rebalance: transition from {self.status} to {status}")
        return self.transition(status, now, reason=reason, legs=legs, resends=self.resends, is_stuck=self.is_stuck)

    def _event(self, type: str) -> Event:
        data = {
            "rebalance_id": self.rebalance_id,
            "portfolio_id": self.portfolio_id,
            "user_id": self.user_id,
            "request_id": self.request_id,
            "status": self.status.value,
            "reason_code": self.reason.code if self.reason else "",
        }
        return Event(type, data)

    # Stored form -------------------------------------------------------------------------------------------------

    def to_item(self) -> dict[str, Any]:
        """Return the plain values of the rebalance's item.

        Weights, legs, reason, execution and resolution are JSON texts with named members or columns; DynamoDB maps
        would take up to twice the bytes. Legs contain the weights, so `weights` is stored only if there are no legs.
        """
        return {
            **item_key(self.tenant_id, self.portfolio_id, REBALANCE_PREFIX + self.rebalance_id),
            "by_time": REBALANCE_PREFIX + format_time(self.created_at),
            **self.index_keys(self.rebalance_id),
            **self.record_attributes(),
            **to_attributes({name: getattr(self, name) for name in _ATTRIBUTES}),
            "resends": self.resends or None,
            "is_stuck": self.is_stuck or None,
            "weights": None if self.legs else pack_weights(self.weights),
            "legs": _pack_legs(self.legs),
            "reason": pack(self.reason) if self.reason else None,
            "execution": pack_execution(self.execution) if self.execution else None,
            "resolution": pack(self.resolution) if self.resolution else None,
            "withdrawal": pack(self.withdrawal) if self.withdrawal else None,
            "history": pack(self.history) if self.history else None,
        }

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> "Rebalance":
        """Return the rebalance of an item; raises `UnknownForm` for an item of a newer release."""
        match form_version(item):
            case 1:
                return cls._from_form_1(item)
            case version:
                raise UnknownForm("rebalance", version)

    @classmethod
    def _from_form_1(cls, item: Mapping[str, Any]) -> "Rebalance":
        rebalance_id = item["sk"].removeprefix(REBALANCE_PREFIX)
        names = (*_ATTRIBUTES, "resends", "is_stuck", "version", "trace")
        members = {name: item[name] for name in names if name in item}
        members |= {
            "portfolio_id": portfolio_id_in(item["pk"]),
            "rebalance_id": rebalance_id,
            "created_at": item["by_time"].removeprefix(REBALANCE_PREFIX),
            "weights": unpack_weights(item.get("weights")),
        }
        if "legs" in item:
            legs = _unpack_legs(item["legs"])
            members |= {"legs": legs, "weights": {leg.asset: leg.weight for leg in legs}}
        packed = {
            "reason": unpack(item["reason"], Reason) if "reason" in item else None,
            "execution": unpack_execution(item["execution"], rebalance_id) if "execution" in item else None,
            "resolution": unpack(item["resolution"], dict[str, Any]) if "resolution" in item else None,
            "withdrawal": unpack(item["withdrawal"], Withdrawal) if "withdrawal" in item else None,
            "history": unpack(item.get("history", "{}"), dict[RebalanceStatus, int]),
        }
        return replace(from_attributes(members, cls), **packed)


_ATTRIBUTES = (
    *("tenant_id", "user_id", "name", "request_id", "request_hash", "as_of", "as_of_given", "status", "trigger"),
    *("mode", "decide_at", "updated_at", "normalised_sum"),
)


class _LegColumns(Struct, frozen=True):
    asset: list[str]
    weight: list[Decimal]
    target: list[Decimal]
    change: list[Decimal]


_encoder = msgspec.json.Encoder(decimal_format="number")


def _pack_legs(legs: tuple[Leg, ...]) -> str | None:
    """Return the legs as one JSON list for each column, half the size of one object for each leg; numbers are exact."""
    columns = {
        "asset": [leg.asset for leg in legs],
        **{name: [Decimal(plain(getattr(leg, name))) for leg in legs] for name in ("weight", "target", "change")},
    }
    return _encoder.encode(columns).decode() if legs else None


def _unpack_legs(text: str) -> tuple[Leg, ...]:
    columns = msgspec.json.decode(text, type=_LegColumns)
    rows = zip(columns.asset, columns.weight, columns.target, columns.change, strict=True)
    return tuple(Leg(*row) for row in rows)


def new_rebalance(
    portfolio: Portfolio, rebalance_id: str, request_id: str, request_hash: str, now: datetime, **members: Any
) -> Rebalance:
    """Return a REQUESTED rebalance of the holdings of a portfolio, which reports no weights."""
    return Rebalance(
        tenant_id=portfolio.tenant_id,
        portfolio_id=portfolio.portfolio_id,
        rebalance_id=rebalance_id,
        user_id=portfolio.user_id,
        name=portfolio.name,
        request_id=request_id,
        request_hash=request_hash,
        weights={},
        as_of=now,
        created_at=now,
        updated_at=now,
        **members,
    )


def rebalance_id_of(portfolio_id: str, request_id: str) -> str:
    """Derive the rebalance id from a request id; a repeated request gets the same rebalance id."""
    return ids.derive_id(portfolio_id, request_id)
