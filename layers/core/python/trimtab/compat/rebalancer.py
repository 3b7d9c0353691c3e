"""Bodies and answers of the earlier rebalancer: target allocations, drift reports, and transactions by user."""

from typing import Annotated, Any

from pydantic import AliasChoices, Field

from trimtab.compat.api import exact
from trimtab.compat.fields import AnyId, CompatBody
from trimtab.contracts.fields import Allocation, TargetAllocation
from trimtab.kernel.clock import format_time
from trimtab.kernel.ids import derive_id
from trimtab.portfolios.portfolio.model import Portfolio
from trimtab.portfolios.portfolio.policy import Policy
from trimtab.portfolios.portfolio.service import NewPortfolio
from trimtab.portfolios.rebalancing.drift import Transaction
from trimtab.portfolios.rebalancing.model import Rebalance
from trimtab.portfolios.rebalancing.report_decision import DriftReport

NAME = "default"
"""The name of the one portfolio that a user of the rebalancer has."""

CURRENCY = "USD"
REPORTED = "Success Rebalance User Portfolio"
"""The whole answer of the rebalancer to a drift report."""

_USER = AliasChoices("user_id", "UserID", "userId", "userID")


class AddPortfolio(CompatBody):
    """The target allocation of a user."""

    user_id: Annotated[AnyId, Field(validation_alias=_USER)]
    allocation: Annotated[TargetAllocation, Field(validation_alias=AliasChoices("allocation", "Allocation"))]
    """Target weights by asset in percent, with a sum of exactly 100."""

    def to_domain(self) -> NewPortfolio:
        """Return the request for the portfolio, with the defaults of a portfolio."""
        return NewPortfolio(self.user_id, NAME, CURRENCY, self.allocation, Policy(), cash=None, cash_tracking=None)


class ReportWeights(CompatBody):
    """The weights that the portfolio of a user has drifted to."""

    user_id: Annotated[AnyId, Field(validation_alias=_USER)]
    new_allocation: Annotated[
        Allocation, Field(validation_alias=AliasChoices("new_allocation", "NewAllocation", "newAllocation"))
    ]
    """Weights by asset in percent, zeros included, with a sum of exactly 100."""

    def to_domain(self, request_id: str) -> DriftReport:
        """Return the drift report; the time of the weights is the time of the request."""
        return DriftReport(self.user_id, NAME, self.new_allocation, None, request_id)


def portfolio_answer(portfolio: Portfolio) -> dict[str, Any]:
    """Return a portfolio: the user and the target weights in percent."""
    weights = {asset: exact(weight) for asset, weight in portfolio.allocation.items()}
    return {"user_id": portfolio.user_id, "allocation": weights}


def transaction_answer(rebalance: Rebalance, transaction: Transaction) -> dict[str, Any]:
    """Return a transaction. The rebalancer wrote `rebalance_percent ` with a blank; both names are given."""
    percent = exact(transaction.percent)
    return {
        "id": derive_id("transaction", rebalance.rebalance_id, transaction.asset),
        "user_id": rebalance.user_id,
        "rebalance_percent ": percent,
        "rebalance_percent": percent,
        "action": transaction.action.value,
        "asset": transaction.asset,
        "created_at": format_time(rebalance.updated_at),
    }
