"""The bodies that the portfolio routes read, and the answers that they give."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

from pydantic import AliasChoices, Field, model_validator

from trimtab.contracts.fields import Allocation, Identifier, Model, Money, TargetAllocation, Time
from trimtab.kernel.clock import format_time
from trimtab.kernel.money import to_percent
from trimtab.portfolios.execution.views import ExecutionView, execution_view
from trimtab.portfolios.ledger.holdings_reader import PortfolioValue
from trimtab.portfolios.portfolio.model import Portfolio
from trimtab.portfolios.portfolio.policy import Policy
from trimtab.portfolios.portfolio.policy_views import PolicyBody, PolicyView, policy_view
from trimtab.portfolios.portfolio.service import NewPortfolio
from trimtab.portfolios.rebalancing import drift as plan
from trimtab.portfolios.rebalancing.model import Rebalance

Answer = dict[str, Any]
_USER = AliasChoices("user_id", "UserID")
_EXAMPLE = {"stocks": 60, "bonds": 30, "gold": 10}
_DRIFTED = {"stocks": 70, "bonds": 20, "gold": 10}


class CreatePortfolio(Model):
    """A new portfolio. Without an allocation it is never rebalanced."""

    user_id: Annotated[Identifier, Field(validation_alias=_USER, examples=["1"])]
    allocation: Annotated[
        TargetAllocation | None,
        Field(validation_alias=AliasChoices("allocation", "Allocation"), examples=[_EXAMPLE]),
    ] = None
    name: Identifier = "default"
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] = "USD"
    cash: Annotated[Money, Field(ge=0)] | None = None
    policy: PolicyBody = PolicyBody()

    def to_domain(self) -> NewPortfolio:
        """What the client asks for, with the defaults filled in."""
        return NewPortfolio(
            user_id=self.user_id,
            name=self.name,
            currency=self.currency,
            allocation=self.allocation or {},
            policy=self.policy.apply(Policy()),
            cash=self.cash,
        )


class ChangePolicy(Model):
    """`{"policy": {…}}`, or the members of the policy by themselves."""

    policy: PolicyBody

    @model_validator(mode="before")
    @classmethod
    def _wrap(cls, body: Any) -> Any:
        return body if not isinstance(body, dict) or "policy" in body else {"policy": body}


class SetAllocation(Model):
    """A new target."""

    allocation: Annotated[TargetAllocation, Field(examples=[_EXAMPLE])]


class RequestRebalance(Model):
    """A drift report: what a user's portfolio has become. `request_id` makes it safe to send again."""

    user_id: Annotated[Identifier, Field(validation_alias=_USER, examples=["1"])]
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


# Answers: documentation of their form; the functions below make them ----------------------------------------------

PercentText = Annotated[str, Field(pattern=r"^\d{1,3}\.\d{4}$", examples=["10.0000"])]


class PortfolioView(Model):
    """A portfolio. `revision` is its ETag: it changes with the target, the policy and the status.

    `status_reason` says why it is STALE; `locked_by` names the rebalance or the job that is changing its holdings.
    """

    portfolio_id: str
    user_id: str
    name: str
    currency: str
    allocation: dict[str, PercentText] | None
    policy: PolicyView
    cash: str | None
    status: str
    status_reason: str | None
    locked_by: str | None
    version: int
    revision: int
    created_at: datetime
    updated_at: datetime


class ValueView(Model):
    """What a portfolio is worth at the newest quotes, in money; `as_of` is the time of the oldest of them.

    `unpriced` is held, has no quote and counts as nothing.
    """

    value: str
    as_of: datetime | None
    unpriced: list[str]


class PortfolioNowView(PortfolioView):
    """A portfolio and what it is worth; `valuation` is left out where it holds nothing."""

    valuation: ValueView | None = None


class PortfolioList(Model):
    """A page of portfolios, newest first; `next_cursor` is null on the last one."""

    items: list[PortfolioView]
    next_cursor: str | None


class MoveView(Model):
    """Buy or sell this percent of the portfolio's value in the asset."""

    action: plan.Action
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


def portfolio_view(it: Portfolio) -> Answer:
    """See `PortfolioView`."""
    return {
        "portfolio_id": it.portfolio_id,
        "user_id": it.user_id,
        "name": it.name,
        "currency": it.currency,
        "allocation": _percents(it.allocation) if it.allocation else None,
        "policy": policy_view(it.policy),
        "cash": None if it.cash is None else f"{it.cash:.2f}",
        "status": it.status.value,
        "status_reason": it.stale_reason,
        "locked_by": it.lock and it.lock.owner,
        "version": it.version,
        "revision": it.revision,
        "created_at": format_time(it.created_at),
        "updated_at": format_time(it.updated_at),
    }


def portfolio_now_view(it: Portfolio, worth: PortfolioValue | None) -> Answer:
    """See `PortfolioNowView`."""
    if worth is None:
        return portfolio_view(it)
    as_of = worth.as_of and format_time(worth.as_of)
    valuation = {"value": f"{worth.value:.2f}", "as_of": as_of, "unpriced": list(worth.unpriced)}
    return {**portfolio_view(it), "valuation": valuation}


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
        "new_allocation": _percents(it.weights),
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


def transaction_view(it: Rebalance, each: plan.Transaction) -> Answer:
    """See `TransactionView`."""
    return {
        "user_id": it.user_id,
        "rebalance_id": it.rebalance_id,
        **_move_view(each),
        "created_at": format_time(it.updated_at),
    }


def _move_view(each: plan.Transaction) -> Answer:
    return {"action": each.action.value, "asset": each.asset, "rebalance_percent": _percent(each.percent)}


def why_view(it: Rebalance) -> Answer | None:
    if it.why is None:
        return None
    weights = {leg.asset: {"reported": _percent(leg.drifted), "target": _percent(leg.target)} for leg in it.legs}
    return {"rule": it.why.rule, "detail": it.why.detail, "facts": dict(it.why.facts), "weights": weights}


def _percents(weights: Any) -> dict[str, str]:
    return {asset: _percent(weight) for asset, weight in weights.items()}


def _percent(number: Decimal) -> str:
    return f"{to_percent(number):f}"
