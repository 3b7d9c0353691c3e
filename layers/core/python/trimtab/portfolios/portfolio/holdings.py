"""Holdings: quantity, cost basis and realised profit of one symbol, computed from its trades and splits.

A holding is the fold of all successful trades of a symbol in execution order, by the moving weighted-average cost
method (IAS 2, paragraph 27: the average is recalculated "as each additional shipment is received"):

* a buy adds its amount and fees to the cost basis;
* a sell removes the sold share of the cost basis, rounded half up to cents; its realised profit is the amount less
  fees less the removed cost;
* amount and fees are rounded once, as one sum: the cost basis grows by exactly the cash that a buy takes;
* a split changes only the quantity.
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
    """Direction of a trade or an order: BUY adds to a holding, SELL takes from it."""

    BUY = "BUY"
    SELL = "SELL"


class SecurityType(StrEnum):
    """Asset class of a symbol."""

    STOCK = "stock"
    ETF = "etf"
    FUND = "fund"
    BOND = "bond"
    CRYPTO = "crypto"
    COMMODITY = "commodity"
    OTHER = "other"


class TradeStatus(StrEnum):
    """Status of a trade; only `success` changes holdings and cash."""

    PENDING = "pending"
    SUCCESS = "success"
    FAILED = "failed"


class TradeEffect(Struct, frozen=True):
    """Effect of a successful trade on a holding and on cash.

    `quantity`, `amount` (gross) and `fees` have up to 9 decimal places, as the broker states them. `tie_rank` orders
    the trades of one instant: lower ranks come first, and buys before sells within a rank. An imported row has a rank
    above zero only where its file has a buy after a sell of the symbol at the same instant.
    """

    ref_id: str
    side: Side
    security_type: SecurityType
    symbol: str
    quantity: Decimal
    amount: Decimal
    fees: Decimal
    executed_at: datetime
    tie_rank: int = 0

    @property
    def cash_change(self) -> Decimal:
        """Change of the portfolio's cash after fees (money): negative for a buy."""
        return net_proceeds(self.side, self.amount, self.fees)

    @property
    def sort_key(self) -> tuple[datetime, int, bool, Decimal, Decimal, Decimal, str]:
        """Sort key of the execution order: time, rank, buys before sells, then the values.

        The `ref_id` orders only trades of equal values, whose order changes nothing.
        """
        is_sell = self.side is Side.SELL
        return self.executed_at, self.tie_rank, is_sell, self.quantity, self.amount, self.fees, self.ref_id


def net_proceeds(side: Side, amount: Decimal, fees: Decimal) -> Decimal:
    """Return the money received for a trade after fees, below zero for a buy; the only rounding of amount and fees.

    >>> net_proceeds(Side.BUY, Decimal("100.004"), Decimal("1.00535"))
    Decimal('-101.01')
    """
    return -to_money(amount + fees) if side is Side.BUY else to_money(amount - fees)


class Holding(Struct, frozen=True):
    """Quantity (9 decimal places), cost basis and realised profit (money) of one symbol.

    The security type is that of the earliest trade. `last_trade` is time and `ref_id` of the newest trade in the
    holding; `last_trade`, `split_count` and `last_split_at` decide whether a further trade or split can be appended, or
    whether the holding has to be recomputed from all trades; `trade_count` tells how many trades a recomputation reads.
    `split_count` is the sum of the revisions of the splits, so that an amended or withdrawn split is noticed.
    `oversold` is the quantity by which recorded sells exceed the holding, after a split that contradicts them.
    """

    symbol: str
    security_type: SecurityType
    quantity: Decimal = ZERO
    cost_basis: Decimal = ZERO
    realised_profit: Decimal = ZERO
    last_trade: tuple[datetime, str] | None = None
    trade_count: int = 0
    split_count: int = 0
    last_split_at: datetime | None = None
    oversold: Decimal = ZERO

    @property
    def average_cost(self) -> Decimal | None:
        """Cost of one unit, 9 decimal places; None where the quantity is zero."""
        return to_places(CONTEXT.divide(self.cost_basis, self.quantity), QUANTITY_PLACES) if self.quantity else None

    def with_trade(self, trade: TradeEffect, *, may_oversell: bool = False) -> "Holding":
        """Return the holding after the next trade in execution order.

        Raises `Unprocessable` (`insufficient_quantity`) for a sell of more than the quantity held. With `may_oversell`
        such a sell ends the holding instead, and the excess is added to `oversold`.

        >>> from datetime import UTC, datetime
        >>> def trade(day, side, quantity, amount):
        ...     at = datetime(2026, 1, day, tzinfo=UTC)
        ...     numbers = (Decimal(quantity), Decimal(amount), Decimal(0))
        ...     return TradeEffect(f"t{day}", side, SecurityType.STOCK, "AAPL", *numbers, at)
        >>> bought = Holding("AAPL", SecurityType.STOCK).with_trade(trade(5, Side.BUY, 10, 1000))
        >>> bought = bought.with_trade(trade(6, Side.BUY, 10, 1400))
        >>> bought.average_cost
        Decimal('120.000000000')
        >>> sold = bought.with_trade(trade(7, Side.SELL, 5, 700))  # the cost of 5 is 600.00
        >>> sold.quantity, sold.cost_basis, sold.realised_profit
        (Decimal('15'), Decimal('1800.00'), Decimal('100.00'))
        """
        if trade.side is Side.BUY:
            quantity = self.quantity + trade.quantity
            cost_basis = self.cost_basis - trade.cash_change
            return self._with_sums(trade, quantity, cost_basis, self.realised_profit)
        excess = max(trade.quantity - self.quantity, ZERO)
        if excess and not may_oversell:
            raise Unprocessable(
                "insufficient_quantity",
                f"{trade.ref_id} sells {plain(trade.quantity)} {self.symbol}, but the portfolio holds "
                f"{plain(self.quantity)} at that time.",
            )
        left, cost_of_sold = self.quantity - trade.quantity + excess, self.cost_basis
        if left:
            sold_share = CONTEXT.divide(CONTEXT.multiply(self.cost_basis, trade.quantity), self.quantity)
            cost_of_sold = to_money(sold_share)
        profit = self.realised_profit + trade.cash_change - cost_of_sold
        sold = self._with_sums(trade, left, self.cost_basis - cost_of_sold, profit)
        return replace(sold, oversold=self.oversold + excess) if excess else sold

    def _with_sums(self, trade: TradeEffect, quantity: Decimal, cost_basis: Decimal, profit: Decimal) -> "Holding":
        return replace(
            self,
            security_type=self.security_type if self.trade_count else trade.security_type,
            quantity=quantity,
            cost_basis=cost_basis,
            realised_profit=profit,
            last_trade=(trade.executed_at, trade.ref_id),
            trade_count=self.trade_count + 1,
        )

    def with_split(self, split: Split) -> "Holding":
        """Return the holding after a split: the quantity changes, the cost basis does not."""
        quantity = split.of(self.quantity)
        return replace(
            self, quantity=quantity, split_count=self.split_count + split.revision, last_split_at=split.effective_at
        )

    def without_trades(self) -> "Holding":
        """Return an empty holding of the same symbol, from which to recompute the holding."""
        return Holding(self.symbol, self.security_type)

    def can_append(self, trade: TradeEffect) -> bool:
        """Return whether the trade is later than every trade in the holding, not at the same instant."""
        return self.last_trade is None or trade.executed_at > self.last_trade[0]

    def pending_splits(self, splits: Sequence[Split], now: datetime) -> list[Split] | None:
        """Return the splits effective by `now` and not yet in the holding, to be appended to the holding.

        Returns None if a split was entered late, with an effective time before a trade or a split in the holding, or
        if a split in the holding was amended or withdrawn: the holding then has to be recomputed from all trades.
        """
        effective = [split for split in splits if split.effective_at <= now]
        new = [split for split in effective if self.last_split_at is None or split.effective_at > self.last_split_at]
        if sum(split.revision for split in effective) - sum(split.revision for split in new) != self.split_count:
            return None
        if self.last_trade is not None and any(split.effective_at <= self.last_trade[0] for split in new):
            return None
        return new


def fold(
    empty: Holding, trades: Iterable[TradeEffect], splits: Sequence[Split], *, may_oversell: bool = False
) -> Holding:
    """Return the holding that results from all trades and splits of a symbol, given in any order.

    Trades and splits are applied in order of time; a split comes before the trades of the same instant, and these are
    in the order of their `sort_key`. Raises `Unprocessable` (`insufficient_quantity`) where the quantity would be
    negative at any point in time, unless `may_oversell` (see `Holding.with_trade`).

    >>> from datetime import UTC, datetime
    >>> january = lambda day: datetime(2026, 1, day, tzinfo=UTC)
    >>> buy = TradeEffect(
    ...     "t1", Side.BUY, SecurityType.STOCK, "AAPL", Decimal(10), Decimal(1000), Decimal(5), january(5)
    ... )
    >>> holding = fold(Holding("AAPL", SecurityType.STOCK), [buy], [Split(january(6), Decimal(4), Decimal(1))])
    >>> holding.quantity, holding.cost_basis, holding.average_cost
    (Decimal('40.000000000'), Decimal('1005.00'), Decimal('25.125000000'))
    """
    in_order = sorted(trades, key=lambda trade: trade.sort_key)
    steps: list[tuple[datetime, int, Split | TradeEffect]] = [
        *((split.effective_at, 0, split) for split in splits),
        *((trade.executed_at, 1, trade) for trade in in_order),
    ]
    holding = empty
    for *_, step in sorted(steps, key=lambda timed: timed[:2]):
        if isinstance(step, Split):
            holding = holding.with_split(step)
        else:
            holding = holding.with_trade(step, may_oversell=may_oversell)
    return holding
