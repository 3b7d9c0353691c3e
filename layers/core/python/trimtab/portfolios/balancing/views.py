"""Request bodies and answers of the routes for rebalances, checks and operators."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import Field, StrictBool

from trimtab.contracts.fields import Asset, Identifier, Model, Quantity, StatedMoney
from trimtab.kernel.clock import format_time
from trimtab.kernel.currencies import money_text
from trimtab.kernel.money import QUANTITY_PLACES, to_places
from trimtab.portfolios.balancing.check_store import LastCheck
from trimtab.portfolios.balancing.operator_actions import Resolution
from trimtab.portfolios.execution.broker import BrokerAccount
from trimtab.portfolios.execution.halt_controls import HaltControl
from trimtab.portfolios.execution.halts import Halt
from trimtab.portfolios.portfolio.policy import Mode
from trimtab.portfolios.rebalancing.model import Reason as CheckReason

Answer = dict[str, Any]
HaltScope = Literal["tenant", "all_tenants"]
Reason = Annotated[str, Field(min_length=3, max_length=500, pattern=r"^[^\x00-\x1f]*$")]


class RunRebalance(Model):
    """A requested rebalance."""

    mode: Mode | None = None
    """The trades that the rebalance may make: `full`, `invest_cash` (buys only) or `sell_only`. Default: the mode of
    the policy."""
    dry_run: StrictBool = False
    """True to get the rebalance that would be executed now; nothing is stored. Default: false. Example: `true`"""
    request_id: Identifier | None = None
    """Makes the request idempotent within the portfolio; the header `Idempotency-Key` is an alternative. Without
    either, a repeat is a new request. Example: `run-2026-11-21`"""


class Withdraw(Model):
    """A withdrawal of cash."""

    amount: Annotated[StatedMoney, Field(gt=0)]
    """The amount to pay out in money, above 0, with at most the decimals of the currency (JPY 0, USD 2, KWD 3). Where
    the cash does not cover the amount, holdings are sold first. Example: `200.00`"""
    request_id: Identifier | None = None
    """Makes the request idempotent within the portfolio; the header `Idempotency-Key` is an alternative. Without
    either, a repeat is a new withdrawal. Example: `w-2026-11-21`"""


class ResolvePortfolio(Model):
    """The present state of a stale portfolio."""

    reason: Reason
    """The reason for the audit record, 3 to 500 characters. Example: `Compared with the broker's statement.`"""
    holdings: Annotated[dict[Asset, Annotated[Quantity, Field(ge=0)]], Field(max_length=90, default_factory=dict)]
    """The actual quantities by symbol, after any split, each at least 0; at most 90. Symbols that are left out stay as
    they were."""
    cash: StatedMoney | None = None
    """The actual cash in money, with at most the decimals of the currency (JPY 0, USD 2, KWD 3); negative where the
    account is overdrawn. Null or absent: unchanged.
    Example: `1000.00`"""

    def to_domain(self) -> Resolution:
        """Return the resolution as a domain value."""
        return Resolution(self.reason, self.holdings, self.cash)


class SwitchHalt(Model):
    """A halt of all orders."""

    scope: HaltScope = "tenant"
    """`tenant` halts the tenant of the token, `all_tenants` every tenant (needs the scope `market:write`). Default:
    `tenant`. Example: `tenant`"""
    reason: Reason
    """The reason for people, 3 to 500 characters. Example: `The broker reports wrong fills.`"""


class HaltView(Model):
    """An active halt switch."""

    scope: str
    """`tenant` or `all_tenants`. Example: `tenant`"""
    reason: str
    """The reason of the halt. Example: `The broker reports wrong fills.`"""
    by: str
    """The subject of the token that switched the halt on; `automatic` where a control did. Example:
    `ops@example.com`"""
    at: datetime
    """The time of the switch (UTC)."""
    control: HaltControl | None
    """The automatic control that halted the tenant: `rollbacks`, `refusals` or `held_prices`; null for a person's
    halt."""


class HaltList(Model):
    """Active halt switches of the tenant."""

    halts: list[HaltView]
    """The active switches; empty where orders are sent."""


class CheckReasonView(Model):
    """The reason of a check."""

    code: str
    """The reason as a code for programs. Example: `within_band`"""
    message: str
    """The reason as a sentence for people. Example: `Every weight is within its band.`"""
    details: dict[str, Any]


class CheckView(Model):
    """The newest check without trades."""

    trigger: str
    """The cause of the check, such as `price`, `schedule`, `change` or `manual`. Example: `price`"""
    at: datetime
    """The time of the check (UTC)."""
    reason: CheckReasonView
    """The reason for which nothing was traded."""


class AccountView(Model):
    """The account of the portfolio as the broker reports it."""

    account: str
    """The id of the account at the broker, which is the id of the portfolio. Example:
    `265076e4-f1a0-5d1f-99a9-59a8b0e03f01`"""
    cash: str
    """The cash of the account in money, with the decimals of the currency. Example: `1000.00`"""
    currency: str
    status: str
    """The status of the account in the broker's words. Example: `ACTIVE`"""
    positions: dict[str, str]
    """The quantities by symbol in units, with 9 decimals."""


def halts_view(halts: list[Halt]) -> Answer:
    """Return the members of a `HaltList`."""
    return {
        "halts": [
            {
                "scope": "tenant" if halt.tenant_id else "all_tenants",
                "reason": halt.reason,
                "by": halt.by,
                "at": format_time(halt.at),
                "control": halt.control and halt.control.value,
            }
            for halt in halts
        ]
    }


def check_view(check: LastCheck) -> Answer:
    """Return the members of a `CheckView`."""
    return {
        "trigger": check.trigger,
        "at": format_time(check.at),
        "reason": reason_members(check.reason),
    }


def reason_members(reason: CheckReason) -> Answer:
    """Return the members of a `CheckReasonView`."""
    return {"code": reason.code, "message": reason.message, "details": dict(reason.details)}


def account_view(account: BrokerAccount, positions: dict[str, Decimal]) -> Answer:
    """Return the members of an `AccountView`."""
    return {
        "account": account.account,
        "cash": money_text(account.cash, account.currency),
        "currency": account.currency,
        "status": account.status,
        "positions": {
            symbol: f"{to_places(quantity, QUANTITY_PLACES):f}" for symbol, quantity in sorted(positions.items())
        },
    }
