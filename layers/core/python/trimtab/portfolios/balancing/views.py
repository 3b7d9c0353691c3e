"""Request bodies and answers of the routes for rebalances, checks and operators."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import Field, StrictBool

from trimtab.contracts.fields import Asset, Identifier, Model, Money, Quantity
from trimtab.kernel.clock import format_time
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
    """A requested rebalance. `mode` limits the sides of its orders; by default the mode of the policy.

    With `dry_run` the answer is the rebalance that would be executed now, and nothing is stored.
    """

    mode: Mode | None = None
    dry_run: StrictBool = False
    request_id: Identifier | None = None


class Withdraw(Model):
    """A withdrawal of cash (money); where the cash does not cover the amount, holdings are sold first."""

    amount: Annotated[Money, Field(gt=0)]
    request_id: Identifier | None = None


class ResolvePortfolio(Model):
    """The present state of a stale portfolio: quantity by symbol (after any split) and cash.

    Symbols and cash that are left out stay as they were. Cash is negative where the account is overdrawn.
    """

    reason: Reason
    holdings: Annotated[dict[Asset, Annotated[Quantity, Field(ge=0)]], Field(max_length=90, default_factory=dict)]
    cash: Money | None = None

    def to_domain(self) -> Resolution:
        """Return the resolution as a domain value."""
        return Resolution(self.reason, self.holdings, self.cash)


class SwitchHalt(Model):
    """A halt of all orders of the token's tenant, or with scope `all_tenants` of every tenant."""

    scope: HaltScope = "tenant"
    reason: Reason


class HaltView(Model):
    """An active halt switch: scope, reason, and the person and time of the switch.

    `control` is set, and `by` is `automatic`, where an automatic control halted the tenant.
    """

    scope: str
    reason: str
    by: str
    at: datetime
    control: HaltControl | None


class HaltList(Model):
    """Active halt switches of the tenant."""

    halts: list[HaltView]


class CheckReasonView(Model):
    """Reason of a check: a code for programs, a sentence for people, and the numbers behind the decision."""

    code: str
    message: str
    details: dict[str, Any]


class CheckView(Model):
    """The newest check without trades, and the reason."""

    trigger: str
    at: datetime
    reason: CheckReasonView


class AccountView(Model):
    """The account of the portfolio as the broker reports it: cash (money) and quantities by symbol."""

    account: str
    cash: str
    currency: str
    status: str
    positions: dict[str, str]


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
        "cash": f"{account.cash:.2f}",
        "currency": account.currency,
        "status": account.status,
        "positions": {
            symbol: f"{to_places(quantity, QUANTITY_PLACES):f}" for symbol, quantity in sorted(positions.items())
        },
    }
