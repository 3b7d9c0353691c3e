"""Response that shows a portfolio together with the market value of the holdings."""

from datetime import datetime

from trimtab.contracts.fields import Model
from trimtab.kernel.clock import format_time
from trimtab.portfolios.ledger.holdings_reader import PortfolioValue
from trimtab.portfolios.portfolio.model import Portfolio
from trimtab.portfolios.portfolio.views import Answer, PortfolioView, portfolio_view


class ValueView(Model):
    """Market value of a portfolio including cash, in money, at the newer of quote and close of each holding.

    `as_of` is the time of the oldest price. The `unpriced` symbols are held, have no price and count as zero.
    """

    value: str
    as_of: datetime | None
    unpriced: list[str]


class ValuedPortfolioView(PortfolioView):
    """A portfolio with its market value; `valuation` is left out for a portfolio that holds nothing."""

    valuation: ValueView | None = None


def valued_portfolio_view(portfolio: Portfolio, value: PortfolioValue | None) -> Answer:
    """Return a `ValuedPortfolioView`."""
    if value is None:
        return portfolio_view(portfolio)
    as_of = value.as_of and format_time(value.as_of)
    valuation = {"value": f"{value.value:.2f}", "as_of": as_of, "unpriced": list(value.unpriced)}
    return {**portfolio_view(portfolio), "valuation": valuation}
