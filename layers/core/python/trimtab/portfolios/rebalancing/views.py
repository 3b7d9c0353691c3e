"""Bodies and answers of the rebalance routes."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import AliasChoices, Field

from trimtab.contracts.fields import Allocation, Identifier, Model, Time
from trimtab.kernel.clock import format_time, from_epoch_milliseconds
from trimtab.portfolios.portfolio.views import USER, PercentText, percent_text, percent_texts
from trimtab.portfolios.portfolio.watch_state import Trigger
from trimtab.portfolios.rebalancing.drift import Action, Transaction
from trimtab.portfolios.rebalancing.journal_views import ExecutionView, execution_view
from trimtab.portfolios.rebalancing.model import Rebalance, RebalanceStatus
from trimtab.portfolios.rebalancing.payout import withdrawal_ref_of

Answer = dict[str, Any]
_DRIFTED = {"stocks": 70, "bonds": 20, "gold": 10}


class RequestRebalance(Model):
    """A drift report: the weights that a user's portfolio has drifted to. `request_id` makes the request idempotent."""

    user_id: Annotated[Identifier, Field(validation_alias=USER, examples=["1"])]
    new_allocation: Annotated[
        Allocation, Field(validation_alias=AliasChoices("new_allocation", "NewAllocation"), examples=[_DRIFTED])
    ]
    name: Identifier = "default"
    as_of: Time | None = None
    request_id: Identifier | None = None


class PreviewRebalance(Model):
    """Weights to plan for; nothing is stored."""

    new_allocation: Annotated[Allocation, Field(examples=[_DRIFTED])]
    as_of: Time | None = None


class WeightChangeView(Model):
    """Buy or sell `rebalance_percent` of the portfolio's value in the asset."""

    action: Action
    asset: str
    rebalance_percent: PercentText


class TransactionView(WeightChangeView):
    """A transaction that a rebalance decided."""

    user_id: str
    rebalance_id: str
    created_at: datetime


class TransactionList(Model):
    """A page of transactions, newest rebalance first; a page may be short and still have a successor."""

    items: list[TransactionView]
    next_cursor: str | None


class LegView(Model):
    """Reported and target weight of one asset."""

    reported: PercentText
    target: PercentText


class ReasonView(Model):
    """Reason of a decision: a code for programs, a sentence for people, and the numbers behind the decision."""

    code: str
    message: str
    details: dict[str, Any]
    weights: dict[str, LegView]


class WithdrawalView(Model):
    """A withdrawal whose cash the rebalance raises (money); `ref_id` is the cash entry, null until `is_paid`."""

    amount: str
    is_paid: bool
    ref_id: str | None


class StatusView(Model):
    """A status of a rebalance, and the time at which the rebalance got the status."""

    status: str
    at: datetime


class RebalanceView(Model):
    """A rebalance: the trigger, the outcome with its reason, and the transactions that lead back to the target.

    `execution` has the orders where a broker trades the rebalance, null elsewhere. `decide_at` is the time until which
    a requested rebalance waits, for example for the open of an exchange; `reason` then says why.
    """

    rebalance_id: str
    portfolio_id: str
    user_id: str
    request_id: str
    status: str
    as_of: datetime
    new_allocation: dict[str, PercentText]
    trigger: str
    mode: str | None
    decide_at: datetime | None
    transactions: list[TransactionView]
    reason: ReasonView | None
    execution: ExecutionView | None
    resolution: dict[str, Any] | None
    withdrawal: WithdrawalView | None
    history: list[StatusView]
    created_at: datetime
    updated_at: datetime


class RebalanceList(Model):
    """A page of rebalances, newest first."""

    items: list[RebalanceView]
    next_cursor: str | None


class PreviewView(Model):
    """The outcome that the worker would decide now."""

    status: str
    transactions: list[WeightChangeView]
    reason: ReasonView


class Links(Model):
    """Paths below the API's address."""

    self: str
    portfolio: str
    transactions: str


class AcceptedView(Model):
    """The request is stored and will be decided; poll `links.self`. Without `retry_safe` a repeat is a new request."""

    rebalance_id: str
    portfolio_id: str
    request_id: str
    status: str
    retry_safe: bool
    links: Links


def accepted_view(rebalance: Rebalance, *, retry_safe: bool) -> Answer:
    """Return the members of an `AcceptedView`, the same for every repeat of a request."""
    portfolio = f"/portfolios/{rebalance.portfolio_id}"
    return {
        "rebalance_id": rebalance.rebalance_id,
        "portfolio_id": rebalance.portfolio_id,
        "request_id": rebalance.request_id,
        "status": "REQUESTED",
        "retry_safe": retry_safe,
        "links": {
            "self": f"{portfolio}/rebalances/{rebalance.rebalance_id}",
            "portfolio": portfolio,
            "transactions": f"{portfolio}/transactions",
        },
    }


def rebalance_view(rebalance: Rebalance) -> Answer:
    """Return the members of a `RebalanceView`."""
    return {
        "rebalance_id": rebalance.rebalance_id,
        "portfolio_id": rebalance.portfolio_id,
        "user_id": rebalance.user_id,
        "request_id": rebalance.request_id,
        "status": rebalance.status.value,
        "as_of": format_time(rebalance.as_of),
        "new_allocation": percent_texts(rebalance.weights),
        "trigger": rebalance.trigger.value,
        "mode": rebalance.mode and rebalance.mode.value,
        "decide_at": rebalance.decide_at and format_time(rebalance.decide_at),
        "transactions": [transaction_view(rebalance, transaction) for transaction in rebalance.transactions],
        "reason": reason_view(rebalance),
        "execution": rebalance.execution and execution_view(rebalance.execution),
        "resolution": rebalance.resolution and dict(rebalance.resolution),
        "withdrawal": _withdrawal_view(rebalance),
        "history": _history_view(rebalance),
        "created_at": format_time(rebalance.created_at),
        "updated_at": format_time(rebalance.updated_at),
    }


def _withdrawal_view(rebalance: Rebalance) -> Answer | None:
    withdrawal = rebalance.withdrawal
    if withdrawal is None:
        return None
    ref_id = withdrawal_ref_of(rebalance.rebalance_id) if withdrawal.is_paid else None
    return {"amount": f"{withdrawal.amount:.2f}", "is_paid": withdrawal.is_paid, "ref_id": ref_id}


def _history_view(rebalance: Rebalance) -> list[Answer]:
    """Return the statuses with their times, oldest first; an outcome without an execution has the time of its write."""
    is_requested = rebalance.trigger in {Trigger.REPORT, Trigger.MANUAL}
    first = (
        [{"status": RebalanceStatus.REQUESTED.value, "at": format_time(rebalance.created_at)}] if is_requested else []
    )
    if rebalance.execution is None and rebalance.status is not RebalanceStatus.REQUESTED:
        return [*first, {"status": rebalance.status.value, "at": format_time(rebalance.updated_at)}]
    later = sorted(rebalance.history.items(), key=lambda entry: entry[1])
    return [*first, *({"status": status.value, "at": format_time(from_epoch_milliseconds(at))} for status, at in later)]


def preview_view(rebalance: Rebalance) -> Answer:
    """Return the members of a `PreviewView`."""
    return {
        "status": rebalance.status.value,
        "transactions": [_weight_change_view(transaction) for transaction in rebalance.transactions],
        "reason": reason_view(rebalance),
    }


def transaction_view(rebalance: Rebalance, transaction: Transaction) -> Answer:
    """Return the members of a `TransactionView`."""
    return {
        "user_id": rebalance.user_id,
        "rebalance_id": rebalance.rebalance_id,
        **_weight_change_view(transaction),
        "created_at": format_time(rebalance.updated_at),
    }


def _weight_change_view(transaction: Transaction) -> Answer:
    return {
        "action": transaction.action.value,
        "asset": transaction.asset,
        "rebalance_percent": percent_text(transaction.percent),
    }


def reason_view(rebalance: Rebalance) -> Answer | None:
    """Return the members of a `ReasonView`, None for a rebalance that is not decided yet."""
    if rebalance.reason is None:
        return None
    weights = {
        leg.asset: {"reported": percent_text(leg.weight), "target": percent_text(leg.target)} for leg in rebalance.legs
    }
    return {
        "code": rebalance.reason.code,
        "message": rebalance.reason.message,
        "details": dict(rebalance.reason.details),
        "weights": weights,
    }
