"""The proof that the stored totals are right: all orders of a user are added up again and compared."""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from trimtab.betting.adapters.store import BettingStore, OrderFilter
from trimtab.betting.domain.orders import BetOrder
from trimtab.betting.domain.positions import BettingPosition, fold_orders
from trimtab.betting.domain.totals import OrderTotals, UserTotals, sum_totals
from trimtab.kernel.errors import Conflict
from trimtab.kernel.pages import Page
from trimtab.kernel.retry import ConditionFailed

T = TypeVar("T")

PAGE_SIZE = 90
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class TotalsComparison(Struct, frozen=True):
    """The totals of a user as stored and as recomputed from all orders, and the markets whose position differs."""

    stored: OrderTotals
    recomputed: OrderTotals
    wrong_positions: tuple[str, ...]

    @property
    def is_consistent(self) -> bool:
        """True if the stored totals and positions equal the recomputed values."""
        return self.stored == self.recomputed and not self.wrong_positions


class TotalsRebuild(Struct, frozen=True):
    """The comparison, and the repair, of the stored totals and positions of a user."""

    store: BettingStore

    def run(self, tenant_id: str, user_id: str, *, repair: bool = False) -> TotalsComparison:
        """Recompute totals and positions from all orders of the user; `repair` writes them where they differ.

        The stored values are read before the orders. An order that is placed meanwhile looks like a difference, but
        changes the version on which the repair would write. An order that the index does not show yet is counted in
        the stored values only. Both refuse the repair with `Conflict` (try again), so no order is lost.
        """
        user_totals = self.store.get_user_totals(tenant_id, user_id)
        stored = {position.market_id: position for position in self._all_positions(tenant_id, user_id)}
        recomputed = self._recompute(tenant_id, user_id, stored)
        totals = sum_totals(position.totals for position in recomputed.values())
        wrong = tuple(
            market_id
            for market_id, position in sorted(recomputed.items())
            if market_id not in stored or _contents(stored[market_id]) != _contents(position)
        )
        comparison = TotalsComparison(user_totals.totals, totals, wrong)
        if repair and not comparison.is_consistent:
            _require_no_hidden_orders(comparison, stored, recomputed)
            try:
                # The totals first: every change of an order changes their version, so their write proves that no
                # order changed since they were read.
                self.store.put_user_totals(tenant_id, user_id, UserTotals(totals, user_totals.version + 1))
                for market_id in wrong:
                    self.store.put_position(_on_next_version(recomputed[market_id], stored.get(market_id)))
            except ConditionFailed:
                raise Conflict("orders_moved", "Orders of the user changed during the repair: try again.") from None
        return comparison

    def _recompute(
        self, tenant_id: str, user_id: str, stored: Mapping[str, BettingPosition]
    ) -> dict[str, BettingPosition]:
        """Return the recomputed positions by market; an empty position where one is stored but has no orders."""
        by_market: dict[str, list[BetOrder]] = {market_id: [] for market_id in stored}
        for order in self._all_orders(tenant_id, user_id):
            by_market.setdefault(order.market_id, []).append(order)
        return {
            market_id: fold_orders(
                _empty_position(tenant_id, user_id, market_id, stored.get(market_id)),
                orders,
                self.store.get_market(tenant_id, market_id),
            )
            for market_id, orders in by_market.items()
        }

    def _all_positions(self, tenant_id: str, user_id: str) -> Iterator[BettingPosition]:
        return _read_all(lambda after: self.store.list_positions(tenant_id, user_id, limit=PAGE_SIZE, after=after))

    def _all_orders(self, tenant_id: str, user_id: str) -> Iterator[BetOrder]:
        wanted = OrderFilter(user_id, None, None)
        return _read_all(lambda after: self.store.list_orders(tenant_id, wanted, limit=PAGE_SIZE, after=after))


def _read_all(read_page: Callable[[Any], Page[T]]) -> Iterator[T]:
    after = None
    while True:
        page = read_page(after)
        yield from page.items
        after = page.next_position
        if after is None:
            return


def _require_no_hidden_orders(
    comparison: TotalsComparison, stored: Mapping[str, BettingPosition], recomputed: Mapping[str, BettingPosition]
) -> None:
    """Raise `Conflict` if fewer orders were read than the totals or a position count."""
    hidden_in = [
        f"the position in {market_id}"
        for market_id, position in sorted(stored.items())
        if recomputed[market_id].totals.orders_placed < position.totals.orders_placed
    ]
    if comparison.recomputed.orders_placed < comparison.stored.orders_placed:
        hidden_in.insert(0, "the totals")
    if hidden_in:
        raise Conflict(
            "orders_hidden",
            f"The index shows fewer orders than are counted in {', '.join(hidden_in)}. The index is eventually "
            "consistent: try again. If the difference stays, the count is wrong: delete the item while no orders are "
            "placed, and repair again.",
        )


def _empty_position(tenant_id: str, user_id: str, market_id: str, stored: BettingPosition | None) -> BettingPosition:
    return BettingPosition(
        tenant_id=tenant_id,
        user_id=user_id,
        market_id=market_id,
        updated_at=_EPOCH,
        number_of_winners=stored.number_of_winners if stored else None,
    )


def _contents(position: BettingPosition) -> tuple[Any, ...]:
    return dict(position.selections), position.totals, position.market_commission


def _on_next_version(recomputed: BettingPosition, stored: BettingPosition | None) -> BettingPosition:
    number = stored.settlement_number if stored else 1
    return replace(recomputed, version=1 + (stored.version if stored else 0), settlement_number=number, events=())
