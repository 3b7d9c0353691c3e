"""The bodies that the rebalance routes read, and the answers that they give."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import AliasChoices, Field

from trimtab.contracts.fields import Allocation, Identifier, Model, Time
from trimtab.kernel.clock import format_time
from trimtab.portfolios.portfolio.views import USER, PercentText, percent_text, percent_texts
from trimtab.portfolios.rebalancing.drift import Action, Transaction
from trimtab.portfolios.rebalancing.journal_views import ExecutionView, execution_view
from trimtab.portfolios.rebalancing.model import Rebalance

Answer = dict[str, Any]
_DRIFTED = {"stocks": 70, "bonds": 20, "gold": 10}


class RequestRebalance(Model):
    """A drift report: what a user's portfolio has become. `request_id` makes it safe to send again."""

    user_id: Annotated[Identifier, Field(validation_alias=USER, examples=["1"])]
    new_allocation: Annotated[
        Allocation, Field(validation_alias=AliasChoices("new_allocation", "NewAllocation"), examples=[_DRIFTED])
    ]
    name: Identifier = "default"
    as_of: Time | None = None
    request_id: Identifier | None = None


class PreviewRebalance(Model):
    """Weights to plan for, without storing anything."""

    new_allocation: Annotated[Allocation, Field(examples=[_DRIFTED])]
    as_of: Time | None = None


class MoveView(Model):
    """Buy or sell this percent of the portfolio's value in the asset."""

    action: Action
    asset: str
    rebalance_percent: PercentText


class TransactionView(MoveView):
    """A stored transaction: a move that a rebalance decided."""

    user_id: str
    rebalance_id: str
    created_at: datetime


class TransactionList(Model):
    """A page of transactions, newest rebalance first; a page may be short and still have a successor."""

    items: list[TransactionView]
    next_cursor: str | None


class LegView(Model):
    """One asset as the decision saw it."""

    reported: PercentText
    target: PercentText


class WhyView(Model):
    """Why it was decided so: the rule, in words, and the numbers that the rule looked at."""

    rule: str
    detail: str
    facts: dict[str, Any]
    weights: dict[str, LegView]


class RebalanceView(Model):
    """A rebalance: what asked for it, what was decided, why, and the transactions that lead back to the target.

    `execution` is there where a broker trades it: every order with what was asked for, sent and filled.
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
    transactions: list[TransactionView]
    why: WhyView | None
    execution: ExecutionView | None
    resolution: dict[str, Any] | None
    created_at: datetime
    updated_at: datetime


class RebalanceList(Model):
    """A page of rebalances, newest first."""

    items: list[RebalanceView]
    next_cursor: str | None


class PreviewView(Model):
    """What the worker would decide now."""

    status: str
    transactions: list[MoveView]
    why: WhyView


class Links(Model):
    """Paths below the API's address."""

    self: str
    portfolio: str
    transactions: str


class AcceptedView(Model):
    """The request is stored and will be decided; ask its `links.self`. Not `retry_safe`: a repeat is a new request."""

    rebalance_id: str
    portfolio_id: str
    request_id: str
    status: str
    retry_safe: bool
    links: Links


def accepted_view(it: Rebalance, *, retry_safe: bool) -> Answer:
    """See `AcceptedView`; the same for every repeat, whatever has become of the request."""
    portfolio = f"/portfolios/{it.portfolio_id}"
    return {
        "rebalance_id": it.rebalance_id,
        "portfolio_id": it.portfolio_id,
        "request_id": it.request_id,
        "status": "REQUESTED",
        "retry_safe": retry_safe,
        "links": {
            "self": f"{portfolio}/rebalances/{it.rebalance_id}",
            "portfolio": portfolio,
            "transactions": f"{portfolio}/transactions",
        },
    }


def rebalance_view(it: Rebalance) -> Answer:
    """See `RebalanceView`."""
    return {
        "rebalance_id": it.rebalance_id,
        "portfolio_id": it.portfolio_id,
        "user_id": it.user_id,
        "request_id": it.request_id,
        "status": it.status.value,
        "as_of": format_time(it.as_of),
        "new_allocation": percent_texts(it.weights),
        "trigger": it.trigger.value,
        "mode": it.mode and it.mode.value,
        "transactions": [transaction_view(it, each) for each in it.transactions],
        "why": why_view(it),
        "execution": it.execution and execution_view(it.execution),
        "resolution": it.resolution and dict(it.resolution),
        "created_at": format_time(it.created_at),
        "updated_at": format_time(it.updated_at),
    }


def preview_view(it: Rebalance) -> Answer:
    """See `PreviewView`."""
    return {
        "status": it.status.value,
        "transactions": [_move_view(each) for each in it.transactions],
        "why": why_view(it),
    }


def transaction_view(it: Rebalance, each: Transaction) -> Answer:
    """See `TransactionView`."""
    return {
        "user_id": it.user_id,
        "rebalance_id": it.rebalance_id,
        **_move_view(each),
        "created_at": format_time(it.updated_at),
    }


def _move_view(each: Transaction) -> Answer:
    return {"action": each.action.value, "asset": each.asset, "rebalance_percent": percent_text(each.percent)}


def why_view(it: Rebalance) -> Answer | None:
    if it.why is None:
        return None
    weights = {
        leg.asset: {"reported": percent_text(leg.drifted), "target": percent_text(leg.target)} for leg in it.legs
    }
    return {"rule": it.why.rule, "detail": it.why.detail, "facts": dict(it.why.facts), "weights": weights}
