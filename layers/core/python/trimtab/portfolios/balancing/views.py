"""The bodies and answers of the routes by which persons steer the balancing."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import Field

from trimtab.contracts.fields import Asset, Identifier, Model, Money, Quantity
from trimtab.kernel.clock import format_time
from trimtab.kernel.money import QUANTITY_PLACES, to_places
from trimtab.portfolios.balancing.check_store import CheckNote
from trimtab.portfolios.balancing.operator_actions import Resolution
from trimtab.portfolios.execution.broker import BrokerAccount
from trimtab.portfolios.execution.halts import Halt
from trimtab.portfolios.portfolio.policy import Mode

Answer = dict[str, Any]
Reach = Literal["tenant", "everything"]
Reason = Annotated[str, Field(min_length=3, max_length=500, pattern=r"^[^\x00-\x1f]*$")]


class RunRebalance(Model):
    """A run that a person asks for. `mode`: what it may do, that of the policy if left out."""

    mode: Mode | None = None
    request_id: Identifier | None = None


class Resolve(Model):
    """What a stale portfolio was found to hold now (after any split): quantity by symbol and cash; what is left out is
    as it was."""

    reason: Reason
    holdings: Annotated[dict[Asset, Annotated[Quantity, Field(ge=0)]], Field(max_length=90, default_factory=dict)]
    cash: Annotated[Money, Field(ge=0)] | None = None

    def to_domain(self) -> Resolution:
        """The resolution."""
        return Resolution(self.reason, self.holdings, self.cash)


class SwitchHalt(Model):
    """Halts the orders of the token's tenant, or (`everything`) those of all tenants."""

    reach: Reach = "tenant"
    reason: Reason


class HaltView(Model):
    """A halt switch that is on."""

    reach: str
    reason: str
    by: str
    at: datetime


class HaltList(Model):
    """The switches that are on for the tenant."""

    halts: list[HaltView]


class CheckView(Model):
    """The newest check that decided nothing, and why: `rule` is what a program reads, `facts` what it looked at."""

    trigger: str
    at: datetime
    rule: str
    detail: str
    facts: dict[str, Any]


class AccountView(Model):
    """The portfolio's account as the broker has it."""

    account: str
    cash: str
    currency: str
    status: str
    positions: dict[str, str]


def halts_view(halts: list[Halt]) -> Answer:
    """See `HaltList`."""
    return {
        "halts": [
            {
                "reach": "tenant" if it.tenant_id else "everything",
                "reason": it.reason,
                "by": it.by,
                "at": format_time(it.at),
            }
            for it in halts
        ]
    }


def check_view(it: CheckNote) -> Answer:
    """See `CheckView`."""
    return {
        "trigger": it.trigger,
        "at": format_time(it.at),
        "rule": it.why.rule,
        "detail": it.why.detail,
        "facts": dict(it.why.facts),
    }


def account_view(account: BrokerAccount, positions: dict[str, Decimal]) -> Answer:
    """See `AccountView`."""
    return {
        "account": account.account,
        "cash": f"{account.cash:.2f}",
        "currency": account.currency,
        "status": account.status,
        "positions": {symbol: f"{to_places(it, QUANTITY_PLACES):f}" for symbol, it in sorted(positions.items())},
    }
