"""The last question before a plan is executed: do the pre-trade controls and the broker's account permit it?"""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from trimtab.kernel.money import ZERO
from trimtab.portfolios.balancing.decision_inputs import DecisionInputs
from trimtab.portfolios.balancing.order_planner import OrderPlan
from trimtab.portfolios.execution.trading_controls import find_control_refusal
from trimtab.portfolios.rebalancing.model import Reason

CONTROL_REFUSED, ACCOUNT_IN_USE = "control_refused", "account_in_use"


def refuse_plan(
    inputs: DecisionInputs, plan: OrderPlan, value: Decimal, details: Mapping[str, Any]
) -> tuple[Reason, datetime | None] | None:
    """Return the reason why the plan may not be executed, and the time of the next try; None where it may."""
    account = inputs.terms.shared_account
    if account is not None and inputs.account_owner not in {None, inputs.portfolio.portfolio_id}:
        detail = (
            f"The broker's account {account} trades for portfolio {inputs.account_owner}. "
            "Close that portfolio to move the account, or give this portfolio a deployment with its own account."
        )
        return Reason(ACCOUNT_IN_USE, detail, {**details, "account": account, "owner": inputs.account_owner}), None
    refusal = find_control_refusal(
        plan.orders,
        inputs.portfolio.policy,
        inputs.controls,
        value=value,
        traded=inputs.portfolio.traded_today,
        tenant_notional=inputs.tenant_notional.notional if inputs.tenant_notional else ZERO,
        now=inputs.now,
    )
    if refusal is None:
        return None
    return Reason(CONTROL_REFUSED, refusal.message, {**details, **refusal.details}), refusal.retry_at
