"""What a user's orders come to: positions by market, sums over all of them, and the proof that the sums are right."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from trimtab.betting.domain.orders import Order
from trimtab.betting.domain.positions import Position, fold
from trimtab.betting.domain.tally import Tally, total
from trimtab.betting.service.ports import Account, Book, Listing, OrderFilter
from trimtab.kernel.caller import Caller

PAGE = 90
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """A user's sums and positions as they are kept, and as the fold of all their orders."""

    kept: Tally
    folded: Tally
    wrong_positions: tuple[str, ...]

    @property
    def is_right(self) -> bool:
        """Whether what is kept is the fold."""
        return self.kept == self.folded and not self.wrong_positions


@dataclass(frozen=True, slots=True)
class Accounts:
    """The positions and sums of users."""

    book: Book

    def positions(self, caller: Caller, user_id: str, *, limit: int, after: Any) -> Listing[Position]:
        """The user's positions, by market."""
        caller.require_owner(user_id)
        return self.book.positions(caller.tenant_id, user_id, limit=limit, after=after)

    def sums(self, caller: Caller, user_id: str, market_id: str | None = None) -> Tally:
        """The sums over the user's orders, or over those in one market; zeros where there are none."""
        caller.require_owner(user_id)
        if market_id is None:
            return self.book.account(caller.tenant_id, user_id).tally
        position = self.book.position(caller.tenant_id, user_id, market_id)
        return position.tally if position else Tally()

    def rebuild(self, tenant_id: str, user_id: str, *, repair: bool = False) -> Rebuilt:
        """Folds all orders of the user and compares what is kept with it; `repair` writes the fold where it differs.

        Let nobody bet meanwhile: an order that is placed between the reads looks like a difference. A repair then
        raises `ConditionFailed` and changes nothing.
        """
        account = self.book.account(tenant_id, user_id)
        by_market: dict[str, list[Order]] = {}
        for order in self._all_orders(tenant_id, user_id):
            by_market.setdefault(order.market_id, []).append(order)
        folded: list[Position] = []
        wrong: list[str] = []
        for market_id, orders in sorted(by_market.items()):
            market = self.book.market(tenant_id, market_id)
            made = fold(Position(tenant_id, user_id, market_id, _LONG_AGO), orders, market)
            kept = self.book.position(tenant_id, user_id, market_id)
            folded.append(made)
            if kept is None or _facts(kept) != _facts(made):
                wrong.append(market_id)
                if repair:
                    self.book.put_position(_repaired(made, kept))
        sums = total(position.tally for position in folded)
        if repair and sums != account.tally:
            self.book.put_account(tenant_id, user_id, Account(sums, account.version + 1))
        return Rebuilt(account.tally, sums, tuple(wrong))

    def _all_orders(self, tenant_id: str, user_id: str) -> Iterator[Order]:
        after = None
        while True:
            page = self.book.orders(tenant_id, OrderFilter(user_id, None, None), limit=PAGE, after=after)
            yield from page.items
            after = page.next_position
            if after is None:
                return


def _facts(position: Position) -> tuple[Any, ...]:
    return dict(position.selections), position.tally, position.market_commission


def _repaired(made: Position, kept: Position | None) -> Position:
    return replace(made, version=1 + (kept.version if kept else 0), events=())
