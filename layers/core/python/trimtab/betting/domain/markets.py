"""Markets that are settled: closed to new orders, with a verdict on every selection."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from msgspec import Struct
from msgspec.structs import replace

from trimtab.betting.domain.orders import Asked
from trimtab.betting.domain.results import Result, Verdict
from trimtab.kernel import ids
from trimtab.kernel.errors import Conflict, Unprocessable
from trimtab.kernel.money import CONTEXT, HUNDRED, ZERO, plain, to_money


class Market(Struct, frozen=True):
    """A closed market: its winners, the selections that count for nothing, the rest has lost.

    `commission_rate` is the percentage that is taken from what a user wins there in all. `settled_at` is when none of
    its `orders` was found open any more.
    """

    tenant_id: str
    market_id: str
    winners: tuple[str, ...]
    voids: tuple[str, ...]
    commission_rate: Decimal
    by: str
    closed_at: datetime
    settled_at: datetime | None = None
    orders: int = 0

    def settled(self, orders: int, now: datetime) -> "Market":
        """With so many orders, and none of them open any more."""
        return replace(self, settled_at=now, orders=orders)

    @property
    def request_hash(self) -> str:
        """Tells a repeat from another settlement of the market."""
        return ids.fingerprint(self.winners, self.voids, plain(self.commission_rate))

    def asked(self, selection_id: str) -> Asked:
        """How the open orders on the selection are to be settled."""
        if selection_id in self.winners:
            return Asked(Verdict(Result.WON))
        return Asked(Verdict(Result.VOID if selection_id in self.voids else Result.LOST))

    def commission(self, net_winnings: Decimal, taken: Decimal) -> Decimal:
        """What is taken from a user who has won that much in the market before commission, in all, and of whom
        `taken` was taken with single orders already."""
        if net_winnings <= 0:
            return ZERO
        due = to_money(CONTEXT.divide(net_winnings * self.commission_rate, HUNDRED))
        return max(ZERO, due - taken)


def closed(
    tenant_id: str,
    market_id: str,
    winners: Sequence[str],
    voids: Sequence[str],
    commission_rate: Decimal,
    *,
    by: str,
    now: datetime,
) -> Market:
    """The market as it is settled, the selections in one order whatever order they were given in."""
    if both := set(winners) & set(voids):
        raise Unprocessable("both_won_and_void", f"{min(both)} cannot have won and be void.")
    sorted_winners, sorted_voids = tuple(sorted(set(winners))), tuple(sorted(set(voids)))
    return Market(tenant_id, market_id, sorted_winners, sorted_voids, commission_rate, by, now)


def require_same(stored: Market, asked: Market) -> None:
    """`Conflict` where the market was settled otherwise."""
    if stored.request_hash != asked.request_hash:
        raise Conflict("market_settled", "The market was settled otherwise: a settlement is for good.")


def market_closed() -> Conflict:
    """The refusal of whatever needs an open market."""
    return Conflict("market_closed", "The market is closed: its orders are settled with it.")
