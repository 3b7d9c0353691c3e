"""The answer that shows a portfolio with its value."""

from datetime import datetime

from trimtab.contracts.fields import Model
from trimtab.kernel.clock import format_time
from trimtab.portfolios.ledger.holdings_reader import PortfolioValue
from trimtab.portfolios.portfolio.model import Portfolio
from trimtab.portfolios.portfolio.views import Answer, PortfolioView, portfolio_view


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


def portfolio_now_view(it: Portfolio, worth: PortfolioValue | None) -> Answer:
    """See `PortfolioNowView`."""
    if worth is None:
        return portfolio_view(it)
    as_of = worth.as_of and format_time(worth.as_of)
    valuation = {"value": f"{worth.value:.2f}", "as_of": as_of, "unpriced": list(worth.unpriced)}
    return {**portfolio_view(it), "valuation": valuation}
