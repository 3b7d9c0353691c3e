"""Response that shows a portfolio together with the market value of the holdings."""

from datetime import datetime

from trimtab.contracts.fields import Model
from trimtab.kernel.clock import format_time
from trimtab.kernel.currencies import money_text
from trimtab.portfolios.ledger.holdings_reader import PortfolioValue
from trimtab.portfolios.portfolio.model import Portfolio
from trimtab.portfolios.portfolio.views import Answer, PortfolioView, portfolio_view


class ValueView(Model):
    """The market value of a portfolio, cash included."""

    value: str
    """The value of all holdings and the cash in money, at the newer of quote and close of each holding. Example:
    `12500.40`"""
    as_of: datetime | None
    """The time of the oldest price (UTC); null without any price."""
    unpriced: list[str]


class ValuedPortfolioView(PortfolioView):
    """A portfolio with its market value; `valuation` is left out for a portfolio that holds nothing."""

    valuation: ValueView | None = None
    """The market value; absent for a portfolio that holds nothing."""


def valued_portfolio_view(portfolio: Portfolio, value: PortfolioValue | None) -> Answer:
    """Return a `ValuedPortfolioView`."""
    if value is None:
        return portfolio_view(portfolio)
    as_of = value.as_of and format_time(value.as_of)
    valuation = {"value": money_text(value.value, portfolio.currency), "as_of": as_of, "unpriced": list(value.unpriced)}
    return {**portfolio_view(portfolio), "valuation": valuation}
