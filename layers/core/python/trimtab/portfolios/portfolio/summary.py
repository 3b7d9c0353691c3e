"""The summary of a portfolio, for other contexts."""

from trimtab.contracts.portfolios import PortfolioSummary
from trimtab.portfolios.portfolio.model import Portfolio


def summarise(portfolio: Portfolio) -> PortfolioSummary:
    """Return the identity, owner and state of a portfolio."""
    return PortfolioSummary(
        tenant_id=portfolio.tenant_id,
        portfolio_id=portfolio.portfolio_id,
        user_id=portfolio.user_id,
        name=portfolio.name,
        currency=portfolio.currency,
        cash=portfolio.cash,
        status=portfolio.status,
        version=portfolio.version,
        created_at=portfolio.created_at,
    )
