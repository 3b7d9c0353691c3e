"""Transactions of a user over all portfolios: a merge of the portfolios' rebalances, newest first, with bounded reads.

A merge needs no index: decisions, which are frequent, cost no further write, and a page of this list, which is rare,
takes one query for each portfolio of the user.
"""

from collections.abc import Iterable
from typing import Any

from msgspec import Struct

from trimtab.kernel.clock import format_time
from trimtab.kernel.errors import Unprocessable, invalid_cursor
from trimtab.kernel.pages import Page
from trimtab.portfolios.rebalancing.drift import Transaction
from trimtab.portfolios.rebalancing.model import Rebalance
from trimtab.portfolios.rebalancing.store import RebalanceStore

MAX_PORTFOLIOS = 100
MAX_READ, MIN_READ = 100, 10
_NEWEST = "~"


class _Start(Struct, frozen=True, order=True):
    """The start of a page: a rebalance (time of creation and id), and the number of its transactions already listed."""

    created_at: str
    rebalance_id: str
    listed: int = 0


def list_user_transactions(
    store: RebalanceStore, tenant_id: str, user_id: str, *, limit: int, after: Any
) -> Page[tuple[Rebalance, Transaction]]:
    """Return a page of the transactions of a user, newest rebalance first, closed portfolios included.

    A page has fewer than `limit` transactions where a portfolio has many rebalances without transactions. Raises
    `Unprocessable` (`too_many_portfolios`) for more than 100 portfolios.
    """
    start = _start_of(after)
    portfolio_ids = store.portfolio_ids_of(tenant_id, user_id, MAX_PORTFOLIOS + 1)
    if len(portfolio_ids) > MAX_PORTFOLIOS:
        raise Unprocessable(
            "too_many_portfolios",
            f"The user has more than {MAX_PORTFOLIOS} portfolios. List the transactions of each portfolio.",
        )
    read: list[Rebalance] = []
    horizon = ""  # at this time and before, a portfolio may have rebalances that were not read
    for portfolio_id in portfolio_ids:
        size = max(MIN_READ, MAX_READ // len(portfolio_ids))
        rebalances, unread = _read_back(store, (tenant_id, portfolio_id), start, size)
        read, horizon = [*read, *rebalances], max(horizon, unread)
    found = list(_transactions([each for each in read if format_time(each.created_at) > horizon], start))
    if len(found) <= limit:
        items = [(rebalance, rebalance.transactions[number]) for rebalance, number in found]
        return Page(items, [horizon, _NEWEST, 0] if horizon else None)
    last, number = found[limit - 1]
    items = [(rebalance, rebalance.transactions[number]) for rebalance, number in found[:limit]]
    return Page(items, [format_time(last.created_at), last.rebalance_id, number + 1])


def _start_of(after: Any) -> _Start | None:
    if after is None:
        return None
    match after:
        case [str(created_at), str(rebalance_id), int(listed)] if listed >= 0 and created_at.isascii():
            return _Start(created_at, rebalance_id, listed)
    raise invalid_cursor()


def _read_back(
    store: RebalanceStore, place: tuple[str, str], start: _Start | None, size: int
) -> tuple[list[Rebalance], str]:
    """Return rebalances of a portfolio from the start on, and the time from which on older ones are unread ("": none).

    At least one rebalance is older than the start, so that each page gets further.
    """
    found: list[Rebalance] = []
    position = None
    while True:
        page = store.rebalances_until(*place, start.created_at if start else _NEWEST, limit=size, after=position)
        found, position = [*found, *page.items], page.next_position
        if position is None:
            return found, ""
        oldest = format_time(found[-1].created_at) if found else _NEWEST
        if start is None or oldest < start.created_at:
            return found, oldest


def _transactions(rebalances: Iterable[Rebalance], start: _Start | None) -> Iterable[tuple[Rebalance, int]]:
    """Yield the rebalances, newest first, with the number of each transaction from the start on."""
    keyed = {(format_time(each.created_at), each.rebalance_id): each for each in rebalances}
    first = (start.created_at, start.rebalance_id) if start else (_NEWEST, _NEWEST)
    for key in sorted((key for key in keyed if key <= first), reverse=True):
        listed = start.listed if start and key == first else 0
        yield from ((keyed[key], number) for number in range(listed, len(keyed[key].transactions)))
