"""What a user's orders come to: positions by market, sums over all of them, and the proof that the sums are right."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from trimtab.betting.domain.orders import Order
from trimtab.betting.domain.positions import Position, fold
from trimtab.betting.domain.tally import Tally, total
from trimtab.betting.service.ports import Account, Book, OrderFilter
from trimtab.kernel.caller import Caller
from trimtab.kernel.errors import Conflict
from trimtab.kernel.pages import Page
from trimtab.kernel.retry import ConditionFailed

T = TypeVar("T")

PAGE = 90
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


class Rebuilt(Struct, frozen=True):
    """A user's sums and positions as they are kept, and as the fold of all their orders."""

    kept: Tally
    folded: Tally
    wrong_positions: tuple[str, ...]

    @property
    def is_right(self) -> bool:
        """Whether what is kept is the fold."""
        return self.kept == self.folded and not self.wrong_positions


class Accounts(Struct, frozen=True):
    """The positions and sums of users."""

    book: Book

    def positions(self, caller: Caller, user_id: str, *, limit: int, after: Any) -> Page[Position]:
        """The user's positions, by market."""
        caller.require_owner(user_id, "user")
        return self.book.positions(caller.tenant_id, user_id, limit=limit, after=after)

    def sums(self, caller: Caller, user_id: str, market_id: str | None = None) -> Tally:
        """The sums over the user's orders, or over those in one market; zeros where there are none."""
        caller.require_owner(user_id, "user")
        if market_id is None:
            return self.book.account(caller.tenant_id, user_id).tally
        position = self.book.position(caller.tenant_id, user_id, market_id)
        return position.tally if position else Tally()

    def rebuild(self, tenant_id: str, user_id: str, *, repair: bool = False) -> Rebuilt:
        """Folds all orders of the user and compares what is kept with it; `repair` writes the fold where it differs.

        What is kept is read before the orders. So an order that is placed meanwhile looks like a difference, and moves
        the version that the repair would write upon; one that the index does not show yet is counted in what is kept
        and not in the fold. Both refuse the repair: `Conflict`, try again. No order is lost, and what may be written
        by then is right.
        """
        account = self.book.account(tenant_id, user_id)
        kept = {it.market_id: it for it in self._all_positions(tenant_id, user_id)}
        made = self._folded(tenant_id, user_id, kept)
        sums = total(position.tally for position in made.values())
        wrong = [each for each, it in sorted(made.items()) if each not in kept or _facts(kept[each]) != _facts(it)]
        rebuilt = Rebuilt(account.tally, sums, tuple(wrong))
        if repair and not rebuilt.is_right:
            _require_no_fewer(rebuilt, kept, made)
            try:
                # First the sums, whose version moves with every change of an order: if it stands, all was read at once.
                self.book.put_account(tenant_id, user_id, Account(sums, account.version + 1))
                for each in wrong:
                    self.book.put_position(_repaired(made[each], kept.get(each)))
            except ConditionFailed:
                raise Conflict("orders_moved", "The user's orders changed meanwhile: try again.") from None
        return rebuilt

    def _folded(self, tenant_id: str, user_id: str, kept: Iterable[str]) -> dict[str, Position]:
        """The positions that the orders make, by market; empty ones where something is kept and no order is there."""
        by_market: dict[str, list[Order]] = {market_id: [] for market_id in kept}
        for order in self._all_orders(tenant_id, user_id):
            by_market.setdefault(order.market_id, []).append(order)
        return {
            market_id: fold(
                Position(tenant_id=tenant_id, user_id=user_id, market_id=market_id, updated_at=_LONG_AGO),
                orders,
                self.book.market(tenant_id, market_id),
            )
            for market_id, orders in by_market.items()
        }

    def _all_positions(self, tenant_id: str, user_id: str) -> Iterator[Position]:
        return _all(lambda after: self.book.positions(tenant_id, user_id, limit=PAGE, after=after))

    def _all_orders(self, tenant_id: str, user_id: str) -> Iterator[Order]:
        wanted = OrderFilter(user_id, None, None)
        return _all(lambda after: self.book.orders(tenant_id, wanted, limit=PAGE, after=after))


def _all(page_after: Callable[[Any], Page[T]]) -> Iterator[T]:
    after = None
    while True:
        page = page_after(after)
        yield from page.items
        after = page.next_position
        if after is None:
            return


def _require_no_fewer(rebuilt: Rebuilt, kept: Mapping[str, Position], made: Mapping[str, Position]) -> None:
    """`Conflict` where fewer orders were read than are counted in the sums or in a position."""
    fewer = [
        f"the position in {market_id}"
        for market_id, it in sorted(kept.items())
        if made[market_id].tally.orders_placed < it.tally.orders_placed
    ]
    if rebuilt.folded.orders_placed < rebuilt.kept.orders_placed:
        fewer.insert(0, "the sums")
    if fewer:
        detail = (
            f"The index shows fewer orders than are counted in {', '.join(fewer)}. It may be a moment late: try again."
            " Where it stays so, the count is wrong: delete that item while nobody bets, and repair again."
        )
        raise Conflict("orders_hidden", detail)


def _facts(position: Position) -> tuple[Any, ...]:
    return dict(position.selections), position.tally, position.market_commission


def _repaired(made: Position, kept: Position | None) -> Position:
    return replace(made, version=1 + (kept.version if kept else 0), events=())
