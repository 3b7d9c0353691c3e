"""Names of renamed portfolios: a name that a portfolio has had finds the portfolio for ever, and no other portfolio."""

from collections.abc import Mapping
from typing import Any

from trimtab.contracts.records import Record
from trimtab.portfolios.portfolio.keys import item_key
from trimtab.portfolios.portfolio.model import Portfolio, portfolio_id_of


class NameClaim(Record, frozen=True):
    """The claim of a name by a portfolio that was created under another name.

    The item has the key of the portfolio that a creation under the name would store. So one conditional write keeps
    names unique, for creations and renames alike.
    """

    tenant_id: str
    key_id: str
    portfolio_id: str

    def to_item(self) -> dict[str, Any]:
        """Return the plain values of the claim's item."""
        key = item_key(self.tenant_id, self.key_id)
        return {**key, "claimed_by": self.portfolio_id, **self.record_attributes()}


def claim_of(portfolio: Portfolio) -> NameClaim | None:
    """Return the claim that the portfolio's name needs, None for the name of its creation."""
    key_id = portfolio_id_of(portfolio.tenant_id, portfolio.user_id, portfolio.name)
    own = portfolio.portfolio_id
    return None if key_id == own else NameClaim(portfolio.tenant_id, key_id, own)


def claimed_by(item: Mapping[str, Any] | None) -> str | None:
    """Return the id of the portfolio that claims the name, None where the item is no claim."""
    return item.get("claimed_by") if item else None


def portfolio_in(item: Mapping[str, Any] | None) -> Portfolio | None:
    """Return the portfolio of an item, None where there is no item or the item is the claim of a name."""
    return None if item is None or claimed_by(item) else Portfolio.from_item(item)
