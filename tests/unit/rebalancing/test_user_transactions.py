"""A user's transactions over all portfolios: every page in order, each transaction once, with bounded reads."""

from datetime import timedelta
from decimal import Decimal
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct, field
from msgspec.structs import replace

from tests.unit.samples import NOW, report
from trimtab.kernel.clock import format_time
from trimtab.kernel.errors import Invalid, Unprocessable
from trimtab.kernel.pages import Page
from trimtab.portfolios.rebalancing.drift import Leg
from trimtab.portfolios.rebalancing.model import Rebalance, RebalanceStatus
from trimtab.portfolios.rebalancing.store import RebalanceStore
from trimtab.portfolios.rebalancing.user_transactions import MAX_PORTFOLIOS, list_user_transactions

LEGS = tuple(
    Leg(asset, Decimal(50), Decimal(target), Decimal(target) - 50)
    for asset, target in [("stocks", "60"), ("bonds", "40")]
)


class FakeStore(Struct):
    """Rebalances by portfolio, read like the store reads them."""

    rebalances: dict[str, list[Rebalance]]
    reads: list[int] = field(default_factory=list)

    def portfolio_ids_of(self, _tenant_id: str, _user_id: str, limit: int) -> list[str]:
        """Return the ids of the portfolios."""
        return list(self.rebalances)[:limit]

    def rebalances_until(self, _tenant_id: str, portfolio_id: str, until: str, *, limit: int, after: Any) -> Any:
        """Return a page of the rebalances of a portfolio, newest first."""
        found = [each for each in self.rebalances[portfolio_id] if format_time(each.created_at) <= until]
        found.sort(key=lambda each: each.created_at, reverse=True)
        begin = after or 0
        self.reads.append(limit)
        return Page(found[begin : begin + limit], begin + limit if begin + limit < len(found) else None)


def rebalance(portfolio_id: str, number: int, second: int, traded: bool) -> Rebalance:
    """Return a rebalance that was created at a second."""
    created = report(request_id=str(number))
    outcome = {"status": RebalanceStatus.COMPLETED, "legs": LEGS if traded else ()}
    at = NOW + timedelta(seconds=second)
    ids = {"portfolio_id": portfolio_id, "rebalance_id": f"{portfolio_id}-{number}"}
    result: Rebalance = replace(created, created_at=at, **ids, **outcome)
    return result


@st.composite
def stores(draw: st.DrawFn) -> FakeStore:
    """Draw portfolios with rebalances, many at the same second and many without transactions."""
    portfolios = draw(st.lists(st.lists(st.tuples(st.integers(0, 12), st.booleans()), max_size=40), max_size=4))
    return FakeStore(
        {
            f"p{place}": [rebalance(f"p{place}", number, *each) for number, each in enumerate(of_portfolio)]
            for place, of_portfolio in enumerate(portfolios)
        }
    )


@given(stores(), st.integers(1, 20))
def test_the_pages_have_every_transaction_once_newest_first(store: FakeStore, limit: int) -> None:
    found, after = [], None
    for _ in range(300):
        page = list_user_transactions(cast(RebalanceStore, store), "demo", "1", limit=limit, after=after)
        assert len(page.items) <= limit
        found += [(format_time(each.created_at), each.rebalance_id, change.asset) for each, change in page.items]
        after = page.next_position
        if after is None:
            break
    every = [each for rebalances in store.rebalances.values() for each in rebalances]
    newest_first = sorted(every, key=lambda each: (each.created_at, each.rebalance_id), reverse=True)
    wanted = [
        (format_time(each.created_at), each.rebalance_id, change.asset)
        for each in newest_first
        for change in each.transactions
    ]
    assert found == wanted


def test_the_reads_of_a_page_are_bounded() -> None:
    store = FakeStore({f"p{place}": [rebalance(f"p{place}", 0, place, True)] for place in range(MAX_PORTFOLIOS)})
    list_user_transactions(cast(RebalanceStore, store), "demo", "1", limit=1, after=None)
    assert store.reads == [10] * MAX_PORTFOLIOS
    store.rebalances["one more"] = []
    with pytest.raises(Unprocessable, match="too_many_portfolios"):
        list_user_transactions(cast(RebalanceStore, store), "demo", "1", limit=1, after=None)


@pytest.mark.parametrize("after", [[], ["x"], ["x", "y", -1], ["x", "y", "0"], [1, "y", 0], ["é", "y", 0]])
def test_a_forged_position_is_refused(after: list[Any]) -> None:
    with pytest.raises(Invalid):
        list_user_transactions(cast(RebalanceStore, FakeStore({})), "demo", "1", limit=1, after=after)
