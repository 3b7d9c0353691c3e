"""Bodies and answers of the portfolio routes."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

from pydantic import AliasChoices, Field, model_validator

from trimtab.contracts.fields import Identifier, Model, Money, TargetAllocation
from trimtab.kernel.clock import format_time
from trimtab.kernel.money import to_percent
from trimtab.portfolios.portfolio.attention import AttentionEntry
from trimtab.portfolios.portfolio.brake import Brake
from trimtab.portfolios.portfolio.cash_rule import CashTracking
from trimtab.portfolios.portfolio.model import Portfolio
from trimtab.portfolios.portfolio.policy import Policy, Restriction
from trimtab.portfolios.portfolio.policy_views import PolicyBody, PolicyView, policy_view
from trimtab.portfolios.portfolio.service import NewPortfolio, PortfolioWithAttention

Answer = dict[str, Any]
USER = AliasChoices("user_id", "UserID")
EXAMPLE = {"stocks": 60, "bonds": 30, "gold": 10}


class CreatePortfolio(Model):
    """A new portfolio. A portfolio without an allocation is never rebalanced.

    `cash_tracking` tells which recorded trades change cash: `on` all trades, `margin` all trades, and cash may be below
    zero, `from_first_entry` trades executed since the earliest cash entry or the first rebalance, `off` none. The
    default is `on` where `cash` is given, else `from_first_entry`.
    """

    user_id: Annotated[Identifier, Field(validation_alias=USER, examples=["1"])]
    allocation: Annotated[
        TargetAllocation | None,
        Field(validation_alias=AliasChoices("allocation", "Allocation"), examples=[EXAMPLE]),
    ] = None
    name: Identifier = "default"
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] = "USD"
    cash: Annotated[Money, Field(ge=0)] | None = None
    cash_tracking: CashTracking | None = None
    policy: PolicyBody = PolicyBody()

    @model_validator(mode="after")
    def _require_tracked_cash(self) -> "CreatePortfolio":
        if self.cash is not None and self.cash_tracking and not self.cash_tracking.counts_all:
            raise ValueError("cash needs the cash_tracking `on` or `margin`. Leave one of the two out.")
        return self

    def to_domain(self) -> NewPortfolio:
        """Return the request with its defaults filled in."""
        return NewPortfolio(
            user_id=self.user_id,
            name=self.name,
            currency=self.currency,
            allocation=self.allocation or {},
            policy=self.policy.apply(Policy()),
            cash=self.cash,
            cash_tracking=self.cash_tracking,
        )


class ChangePolicy(Model):
    """A change of policy: `{"policy": {…}}`, or the members of the policy alone."""

    policy: PolicyBody

    @model_validator(mode="before")
    @classmethod
    def _wrap(cls, body: Any) -> Any:
        return body if not isinstance(body, dict) or "policy" in body else {"policy": body}


class SetAllocation(Model):
    """A new target allocation."""

    allocation: Annotated[TargetAllocation, Field(examples=[EXAMPLE])]


class SetCashTracking(Model):
    """Another rule of cash: the balance is computed anew from all entries."""

    cash_tracking: CashTracking


# Answers: the models document the form, the functions below make it ------------------------------------------------


PercentText = Annotated[str, Field(pattern=r"^\d{1,3}\.\d{4}$", examples=["10.0000"])]


class BackingOffView(Model):
    """Backoff after rolled back rebalances: automatic rebalances wait until `until`.

    `failures` counts the rebalances that were rolled back since the last completed one; `rebalance_id` is the newest.
    Both `since` and `rebalance_id` are null after a person's cancellation, which pauses without a failure.
    """

    failures: int
    since: datetime | None
    until: datetime
    rebalance_id: str | None


class QuarantineView(Model):
    """A symbol that the broker refused permanently: `restriction` names the sides that are not traded until `until`."""

    restriction: Restriction
    reason: str
    rebalance_id: str
    since: datetime
    until: datetime


class AttentionView(Model):
    """One reason for which a portfolio needs a person: code, sentence, time since when, and what to do (`remedy`)."""

    code: str
    message: str
    since: datetime
    remedy: str
    rebalance_id: str | None
    symbol: str | None


class PortfolioView(Model):
    """A portfolio. `revision` is the ETag: a change of target, policy or status changes the revision.

    `status_reason` explains the status STALE; `locked_by` is the rebalance or the job that is changing the holdings.
    `next_check_at` is the time of the next check that no price asks for: by the calendar rule, or at the end of a wait,
    for example for the open of an exchange. `backing_off` is null unless a rebalance was rolled back; `quarantine`
    holds the refused symbols. `cash` is null where cash is not tracked; `cash_since` is the start of the tracked cash
    under the `cash_tracking` `from_first_entry`.
    """

    portfolio_id: str
    user_id: str
    name: str
    currency: str
    allocation: dict[str, PercentText] | None
    policy: PolicyView
    cash: str | None
    cash_tracking: CashTracking
    cash_since: datetime | None
    status: str
    status_reason: str | None
    locked_by: str | None
    next_check_at: datetime | None
    backing_off: BackingOffView | None
    quarantine: dict[str, QuarantineView]
    version: int
    revision: int
    created_at: datetime
    updated_at: datetime


class ListedPortfolioView(PortfolioView):
    """A portfolio of a list, with the reasons for which the portfolio needs a person."""

    attention: list[AttentionView]


class PortfolioList(Model):
    """A page of portfolios, newest first; with `attention=true` or `status=STALE` the longest waiting first.

    A page may have fewer than `limit` items although more follow: `next_cursor` is null on the last page.
    """

    items: list[ListedPortfolioView]
    next_cursor: str | None


def portfolio_view(portfolio: Portfolio) -> Answer:
    """Return the members of a `PortfolioView`."""
    return {
        "portfolio_id": portfolio.portfolio_id,
        "user_id": portfolio.user_id,
        "name": portfolio.name,
        "currency": portfolio.currency,
        "allocation": percent_texts(portfolio.allocation) if portfolio.allocation else None,
        "policy": policy_view(portfolio.policy),
        "cash": None if portfolio.cash is None else f"{portfolio.cash:.2f}",
        "cash_tracking": portfolio.cash_rule.tracking.value,
        "cash_since": portfolio.cash_rule.since and format_time(portfolio.cash_rule.since),
        "status": portfolio.status.value,
        "status_reason": portfolio.stale_reason,
        "locked_by": portfolio.lock and portfolio.lock.owner,
        "next_check_at": portfolio.next_check_at and format_time(portfolio.next_check_at),
        "backing_off": _backing_off_view(portfolio.brake),
        "quarantine": {
            symbol: {
                "restriction": each.restriction.value,
                "reason": each.reason,
                "rebalance_id": each.rebalance_id,
                "since": format_time(each.since),
                "until": format_time(each.until),
            }
            for symbol, each in sorted(portfolio.brake.quarantine.items())
        },
        "version": portfolio.version,
        "revision": portfolio.revision,
        "created_at": format_time(portfolio.created_at),
        "updated_at": format_time(portfolio.updated_at),
    }


def _backing_off_view(brake: Brake) -> Answer | None:
    if brake.blocked_until is None:
        return None
    return {
        "failures": brake.failures,
        "since": brake.failing_since and format_time(brake.failing_since),
        "until": format_time(brake.blocked_until),
        "rebalance_id": brake.failed_rebalance_id,
    }


def listed_portfolio_view(listed: PortfolioWithAttention) -> Answer:
    """Return the members of a `ListedPortfolioView`."""
    return {**portfolio_view(listed.portfolio), "attention": [_attention_view(entry) for entry in listed.attention]}


def _attention_view(entry: AttentionEntry) -> Answer:
    return {
        "code": entry.code,
        "message": entry.message,
        "since": format_time(entry.since),
        "remedy": entry.remedy,
        "rebalance_id": entry.rebalance_id,
        "symbol": entry.symbol,
    }


def percent_texts(weights: Mapping[str, Decimal]) -> dict[str, str]:
    """Return the weights as texts of 4 places."""
    return {asset: percent_text(weight) for asset, weight in weights.items()}


def percent_text(number: Decimal) -> str:
    return f"{to_percent(number):f}"
