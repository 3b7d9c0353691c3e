"""The first changed day of each changed portfolio."""

from collections.abc import Iterable
from datetime import date
from typing import NamedTuple


class PortfolioChange(NamedTuple):
    """A change of a portfolio, and the first day whose value may have changed (None: no past day)."""

    tenant_id: str
    portfolio_id: str
    since: date | None


def first_changed_days(changes: Iterable[PortfolioChange]) -> dict[tuple[str, str], date | None]:
    """Return the first changed day by tenant id and portfolio id; None where no past day changed.

    >>> first_changed_days([
    ...     PortfolioChange("demo", "p1", date(2026, 1, 9)),
    ...     PortfolioChange("demo", "p1", None),
    ...     PortfolioChange("demo", "p1", date(2026, 1, 7)),
    ... ])
    {('demo', 'p1'): datetime.date(2026, 1, 7)}
    """
    found: dict[tuple[str, str], date | None] = {}
    for tenant_id, portfolio_id, since in changes:
        names = (tenant_id, portfolio_id)
        found[names] = min(filter(None, (found.get(names), since)), default=None)
    return found
