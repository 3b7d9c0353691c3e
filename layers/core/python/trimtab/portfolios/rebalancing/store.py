"""Store of rebalances, in the partition of their portfolio."""

from collections.abc import Sequence
from typing import Any

from trimtab.kernel.pages import Page
from trimtab.portfolios.portfolio.model import Portfolio
from trimtab.portfolios.portfolio.store import BY_TIME, PortfolioStore
from trimtab.portfolios.rebalancing.model import REBALANCE_PREFIX, Rebalance
from trimtab.runtime.dynamodb.paging import check_position


class RebalanceStore(PortfolioStore, frozen=True):
    """Adds the readers of rebalances to the store of the aggregate."""

    def rebalance(self, tenant_id: str, portfolio_id: str, rebalance_id: str) -> Rebalance | None:
        """Return the rebalance, None if there is none."""
        item = self.item(tenant_id, portfolio_id, REBALANCE_PREFIX + rebalance_id)
        return Rebalance.from_item(item) if item else None

    def portfolio_and_rebalance(
        self, tenant_id: str, portfolio_id: str, rebalance_id: str
    ) -> tuple[Portfolio | None, Rebalance | None]:
        """Return the portfolio and a rebalance, in one call."""
        portfolio, item = self.portfolio_and_item(tenant_id, portfolio_id, REBALANCE_PREFIX + rebalance_id)
        return portfolio, Rebalance.from_item(item) if item else None

    def insert_rebalance(self, rebalance: Rebalance) -> Rebalance | None:
        """Store a first version unless the rebalance exists; return the existing one then."""
        existing = self.insert_item(rebalance)
        return Rebalance.from_item(existing) if existing else None

    def rebalances(self, tenant_id: str, portfolio_id: str, *, limit: int, after: Any) -> Page[Rebalance]:
        """Return a page of the portfolio's rebalances, newest first."""
        kind = ("begins_with(#s, :kind)", {":kind": REBALANCE_PREFIX})
        return self.query_items(BY_TIME, tenant_id, portfolio_id, kind, limit=limit, after=after).map(
            Rebalance.from_item
        )

    def rebalances_until(
        self, tenant_id: str, portfolio_id: str, until: str, *, limit: int, after: Any
    ) -> Page[Rebalance]:
        """Return a page of the rebalances created at a time (as text) or before, newest first."""
        period = {":first": REBALANCE_PREFIX, ":last": REBALANCE_PREFIX + until}
        between = ("#s BETWEEN :first AND :last", period)
        page = self.query_items(BY_TIME, tenant_id, portfolio_id, between, limit=limit, after=after)
        return page.map(Rebalance.from_item)

    def rebalance_at(self, tenant_id: str, portfolio_id: str, position: Sequence[Any]) -> Rebalance | None:
        """Return the rebalance at a position of the list; `Invalid` for a value that is no position."""
        check_position(BY_TIME, position)
        return self.rebalance(tenant_id, portfolio_id, position[1].removeprefix(REBALANCE_PREFIX))

    def position_of(self, rebalance: Rebalance) -> list[Any]:
        """Return the position of a rebalance in the list of its portfolio."""
        item = rebalance.to_item()
        return [item[name] for name in BY_TIME.key_attributes]
