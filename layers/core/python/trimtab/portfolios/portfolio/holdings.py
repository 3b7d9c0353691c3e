"""The ledger: trades and cash entries, and the holdings that are their fold.

A holding is the result of all successful trades of its symbol in execution order, by the weighted-average method: a
buy adds its amount and fees to the cost, a sell takes the sold share of the cost out and books the rest as profit, a
split changes the quantity and nothing else.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from trimtab.contracts.quotes import Split
from trimtab.kernel.errors import Unprocessable
from trimtab.kernel.money import CONTEXT, QUANTITY_PLACES, ZERO, plain, to_money, to_places


class Side(StrEnum):
    """Whether a trade adds to a holding or takes from it."""

    BUY = "BUY"
    SELL = "SELL"


class SecurityType(StrEnum):
    """What kind of thing a symbol names."""

    STOCK = "stock"
    ETF = "etf"
    FUND = "fund"
    BOND = "bond"
    CRYPTO = "crypto"
    COMMODITY = "commodity"
    OTHER = "other"


class TradeStatus(StrEnum):
    """Only a successful trade touches the holding and the cash."""

    PENDING = "pending"
    SUCCESS = "success"
    FAILED = "failed"


class Execution(Struct, frozen=True):
    """What a trade did: quantity (9 places), gross amount and fees (money), and when."""

    ref_id: str
    side: Side
    symbol: str
    quantity: Decimal
    amount: Decimal
    fees: Decimal
    executed_at: datetime

    @property
    def cash_change(self) -> Decimal:
        """What it adds to the portfolio's cash; negative for a buy."""
        return -(self.amount + self.fees) if self.side is Side.BUY else self.amount - self.fees

    @property
    def position(self) -> tuple[datetime, str]:
        """Its place in execution order; ties are broken by id."""
        return self.executed_at, self.ref_id


class Holding(Struct, frozen=True):
    """A symbol's summary: quantity (9 places), the cost of what is held and the profit of what was sold (money).

    `last` is the newest trade in it, `trades` counts them. `splits` counts the splits in it, `split_at` is the newest
    of those. They tell whether a later trade or split can simply be added.
    """

    symbol: str
    security_type: SecurityType
    quantity: Decimal = ZERO
    cost: Decimal = ZERO
    realised: Decimal = ZERO
    last: tuple[datetime, str] | None = None
    trades: int = 0
    splits: int = 0
    split_at: datetime | None = None

    @property
    def average_cost(self) -> Decimal | None:
        """Cost of one unit, None where nothing is held."""
        return to_places(CONTEXT.divide(self.cost, self.quantity), QUANTITY_PLACES) if self.quantity else None

    def after(self, trade: Execution) -> "Holding":
        """With the next trade in execution order; `Unprocessable` where it sells more than is held."""
        if trade.side is Side.BUY:
            cost = self.cost + trade.amount + trade.fees
            quantity = self.quantity + trade.quantity
            return replace(self, quantity=quantity, cost=cost, last=trade.position, trades=self.trades + 1)
        if trade.quantity > self.quantity:
            raise Unprocessable(
                "insufficient_quantity",
                f"{plain(self.quantity)} {self.symbol} are held when {trade.ref_id} sells {plain(trade.quantity)}.",
            )
        left = self.quantity - trade.quantity
        sold = CONTEXT.divide(CONTEXT.multiply(self.cost, trade.quantity), self.quantity)
        cost_of_sold = to_money(sold) if left else self.cost
        return replace(
            self,
            quantity=left,
            cost=self.cost - cost_of_sold,
            realised=self.realised + trade.amount - trade.fees - cost_of_sold,
            last=trade.position,
            trades=self.trades + 1,
        )

    def split(self, split: Split) -> "Holding":
        """With a split: more or fewer units of the same cost."""
        quantity = split.of(self.quantity)
        return replace(self, quantity=quantity, splits=self.splits + 1, split_at=split.effective_at)

    def emptied(self) -> "Holding":
        """The same symbol before its first trade."""
        return Holding(self.symbol, self.security_type)

    def follows(self, trade: Execution) -> bool:
        """Whether the trade is later than all that are in it, so that it can simply be added."""
        return self.last is None or trade.position > self.last

    def pending_splits(self, splits: Sequence[Split], now: datetime) -> list[Split] | None:
        """The splits to add to it up to now, None where one lies before something that is in it already."""
        effective = [split for split in splits if split.effective_at <= now]
        new = [split for split in effective if self.split_at is None or split.effective_at > self.split_at]
        if len(effective) - len(new) != self.splits:
            return None
        if self.last is not None and any(split.effective_at <= self.last[0] for split in new):
            return None
        return new


def fold(empty: Holding, trades: Iterable[Execution], splits: Sequence[Split]) -> Holding:
    """The holding that all these trades and splits make in order of time; a split goes before a trade of its instant.

    `Unprocessable` where the quantity would be negative at any point in time.
    """
    steps: list[tuple[datetime, int, str, Split | Execution]] = [
        *((split.effective_at, 0, "", split) for split in splits),
        *((trade.executed_at, 1, trade.ref_id, trade) for trade in trades),
    ]
    holding = empty
    for *_, step in sorted(steps, key=lambda it: it[:3]):
        holding = holding.split(step) if isinstance(step, Split) else holding.after(step)
    return holding
