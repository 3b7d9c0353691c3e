"""Bodies and answers of the rebalance routes."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import AliasChoices, Field, StrictBool

from trimtab.contracts.fields import Allocation, Identifier, Model, Name, NormaliseOnRequest, Time, sum_as_sent
from trimtab.kernel.clock import format_time, from_epoch_milliseconds
from trimtab.kernel.currencies import money_text
from trimtab.kernel.money import plain
from trimtab.portfolios.portfolio.views import USER, PercentText, percent_text, percent_texts
from trimtab.portfolios.portfolio.watch_state import Trigger
from trimtab.portfolios.rebalancing.drift import Action, Transaction
from trimtab.portfolios.rebalancing.journal_views import ExecutionView, execution_view
from trimtab.portfolios.rebalancing.model import Rebalance, RebalanceStatus
from trimtab.portfolios.rebalancing.payout import withdrawal_ref_of
from trimtab.portfolios.rebalancing.report_decision import DriftReport

Answer = dict[str, Any]
ReportedText = Annotated[str, Field(pattern=r"^-?\d{1,12}\.\d{4}$", examples=["70.0000"])]
_DRIFTED = {"stocks": 70, "bonds": 20, "gold": 10}


class RequestRebalance(Model):
    """A drift report: the weights that a user's portfolio has drifted to."""

    user_id: Annotated[Identifier, Field(validation_alias=USER, examples=["1"])]
    """The owner of the portfolio: the id of the user in your system. Example: `1`"""
    normalise: StrictBool = False
    """True: weights with a sum from 99.99 to 100.01, or with up to 18 decimals, are corrected to 4 decimals and to the
    sum 100, by largest remainder; the response has the sum as sent. Example: `true`"""
    new_allocation: Annotated[
        Allocation,
        NormaliseOnRequest,
        Field(validation_alias=AliasChoices("new_allocation", "NewAllocation"), examples=[_DRIFTED]),
    ]
    """The weights that the portfolio has drifted to, by asset in percent, zeros included, with a sum of exactly 100."""
    name: Name = "default"
    """The name of the user's portfolio. Example: `default`"""
    as_of: Time | None = None
    """The time of the weights (RFC 3339), at most 5 minutes in the future; the newest report counts. Default: the time
    of the request. Example: `2026-11-20T15:30:00Z`"""
    request_id: Identifier | None = None
    """Makes the request idempotent within the portfolio; the header `Idempotency-Key` is an alternative. Without
    either, a repeat is a new request. Example: `drift-2026-11-21`"""

    def to_domain(self, request_id: str) -> DriftReport:
        """Return the drift report under its request id."""
        sent = sum_as_sent(self.new_allocation)
        return DriftReport(self.user_id, self.name, dict(self.new_allocation), self.as_of, request_id, sent)


class PreviewRebalance(Model):
    """Weights to plan for; nothing is stored."""

    normalise: StrictBool = False
    """True: weights with a sum from 99.99 to 100.01, or with up to 18 decimals, are corrected to 4 decimals and to the
    sum 100, by largest remainder; the response has the sum as sent. Example: `true`"""
    new_allocation: Annotated[Allocation, NormaliseOnRequest, Field(examples=[_DRIFTED])]
    as_of: Time | None = None


class WeightChangeView(Model):
    """Buy or sell a part of the portfolio's value in an asset."""

    action: Action
    """`BUY` or `SELL`."""
    asset: str
    """The symbol of the asset. Example: `stocks`"""
    rebalance_percent: PercentText
    """The part of the portfolio's value to buy or sell, in percent with 4 decimals, above 0."""


class TransactionView(WeightChangeView):
    """A transaction that a rebalance decided."""

    user_id: str
    rebalance_id: str
    created_at: datetime
    """The time at which the rebalance was decided (UTC)."""


class TransactionList(Model):
    """A page of transactions, newest rebalance first."""

    items: list[TransactionView]
    next_cursor: str | None
    """The value of the parameter `cursor` for the next page; null on the last page. A page may have fewer than `limit`
    items although more follow."""


class UserTransactionView(TransactionView):
    """A transaction of one of the user's portfolios."""

    portfolio_id: str


class UserTransactionList(Model):
    """A page of a user's transactions over all portfolios, newest rebalance first."""

    items: list[UserTransactionView]
    next_cursor: str | None
    """The value of the parameter `cursor` for the next page; null on the last page. A page may have fewer than `limit`
    items although more follow."""


class LegView(Model):
    """The weight of one asset before the rebalance, and the target."""

    reported: PercentText
    """The reported or measured weight in percent, with 4 decimals."""
    target: PercentText
    """The target weight in percent, with 4 decimals."""


class ReasonView(Model):
    """The reason of a decision."""

    code: str
    """The reason as a code for programs. Example: `outside_band`"""
    message: str
    """The reason as a sentence for people. Example: `A weight is outside its band.`"""
    details: dict[str, Any]
    weights: dict[str, LegView]
    """The weights that were compared with the target, by asset."""


class WithdrawalView(Model):
    """A withdrawal whose cash the rebalance raises."""

    amount: str
    """The amount to pay out in money, with the decimals of the currency. Example: `200.00`"""
    is_paid: bool
    """True once the cash entry of the withdrawal is recorded. Example: `true`"""
    ref_id: str | None
    """The `ref_id` of the cash entry; null until the withdrawal is paid. Example:
    `withdrawal:731eb848-c0f2-552f-b8d8-c216b7119182`"""


class StatusView(Model):
    """A status of a rebalance, and the time at which the rebalance got the status."""

    status: str
    """A status of the rebalance. Example: `EXECUTING`"""
    at: datetime
    """The time at which the rebalance got the status (UTC)."""


class RebalanceView(Model):
    """A rebalance: the trigger, the outcome with its reason, and the transactions that lead back to the target."""

    rebalance_id: str
    portfolio_id: str
    user_id: str
    request_id: str
    status: str
    """`REQUESTED` until decided. Without orders: `NO_ACTION`, `COMPLETED`, `REJECTED`, `SUPERSEDED` (a newer report
    counts) or `CANCELLED`. With orders: `PLANNED`, `EXECUTING`, `COMPENSATING` (fills are reversed), then `COMPLETED`,
    `COMPLETED_ADJUSTED` (with less than planned), `ROLLED_BACK`, or `STALE` until an operator makes it `RESOLVED`.
    Example: `COMPLETED`"""
    as_of: datetime
    """The time of the weights (UTC)."""
    new_allocation: dict[str, ReportedText]
    """The reported or measured weights by asset in percent, with 4 decimals; any numbers where a report is rejected."""
    normalised_sum: str | None
    """The sum of the reported weights as sent, where `normalise` corrected them; null otherwise. Example: `99.9999`"""
    trigger: str
    """The cause: `report`, `price`, `schedule`, `target`, `deposit`, `withdrawal` or `manual`. Example: `report`"""
    mode: str | None
    """The trades that were allowed: `full`, `invest_cash` or `sell_only`; null for the mode of the policy. Example:
    `full`"""
    decide_at: datetime | None
    """The time until which a requested rebalance waits (UTC), such as the open of an exchange; `reason` says why. Null
    where it does not wait."""
    transactions: list[TransactionView]
    """The transactions that lead back to the target; empty where there are none."""
    reason: ReasonView | None
    """The reason of the outcome, or of the wait; null before the decision."""
    execution: ExecutionView | None
    """The orders where a broker trades the rebalance; null for the answer to a drift report."""
    resolution: dict[str, Any] | None
    """The record of an operator: who resolved a stale rebalance, when, why and with which adjustments, and who lifted a
    quarantine (`lifted`); null where no operator acted."""
    withdrawal: WithdrawalView | None
    """The withdrawal whose cash the orders raise; null for other rebalances."""
    history: list[StatusView]
    """The statuses with their times, oldest first."""
    created_at: datetime
    updated_at: datetime


class RebalanceList(Model):
    """A page of rebalances, newest first."""

    items: list[RebalanceView]
    next_cursor: str | None


class PreviewView(Model):
    """The outcome that the worker would decide now."""

    status: str
    """The status that a report with these weights would get now. Example: `COMPLETED`"""
    transactions: list[WeightChangeView]
    """The transactions that would lead back to the target."""
    reason: ReasonView
    """The reason of the outcome."""
    normalised_sum: str | None = None
    """The sum of the weights as sent, where `normalise` corrected them; absent otherwise. Example: `99.9999`"""


class Links(Model):
    """Addresses relative to the URL of the request (RFC 3986)."""

    self: str
    """The path of the rebalance, relative to the URL of the request. Example:
    `../../portfolios/265076e4-f1a0-5d1f-99a9-59a8b0e03f01/rebalances/731eb848-c0f2-552f-b8d8-c216b7119182`"""
    portfolio: str
    """The path of the portfolio, relative to the URL of the request. Example:
    `../../portfolios/265076e4-f1a0-5d1f-99a9-59a8b0e03f01`"""
    transactions: str
    """The path of the portfolio's transactions, relative to the URL of the request. Example:
    `../../portfolios/265076e4-f1a0-5d1f-99a9-59a8b0e03f01/transactions`"""


class AcceptedView(Model):
    """The request is stored and will be decided; poll `links.self`."""

    rebalance_id: str
    portfolio_id: str
    request_id: str
    status: str
    """Always `REQUESTED`, also for a repeated request: read `links.self` for the outcome. Example: `REQUESTED`"""
    retry_safe: bool
    """True where the request had an id: the same request again is not a new one. Example: `true`"""
    links: Links
    normalised_sum: str | None = None
    """The sum of the weights as sent, where `normalise` corrected them; absent otherwise. Example: `99.9999`"""


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
        "normalised_sum": None if rebalance.normalised_sum is None else plain(rebalance.normalised_sum),
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
    return {
        "amount": money_text(withdrawal.amount, withdrawal.currency),
        "is_paid": withdrawal.is_paid,
        "ref_id": ref_id,
    }


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


def user_transaction_view(rebalance: Rebalance, transaction: Transaction) -> Answer:
    """Return the members of a `UserTransactionView`."""
    return {**transaction_view(rebalance, transaction), "portfolio_id": rebalance.portfolio_id}


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
