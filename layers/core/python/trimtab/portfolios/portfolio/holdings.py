"""Holdings: quantity, cost basis and realised profit of one symbol, computed from its trades and splits.

A holding is the fold of all successful trades of a symbol in execution order, by the moving weighted-average cost
method (IAS 2, paragraph 27: the average is recalculated "as each additional shipment is received"):

* a buy adds its amount and fees to the cost basis;
* a sell removes the sold share of the cost basis, rounded half up to minor units; its realised profit is the amount
  less fees less the removed cost;
* amount and fees are rounded once, as one sum: the cost basis grows by exactly the cash that a buy takes;
* a split changes only the quantity.

Movements that are no trades have a `TradeKind` of their own, and follow the same rules:

* units that come in add a stated cost, or none;
* units that go out remove their share of the cost basis, as a sell does; transferred units realise nothing;
* a return of capital and a spin-off reduce the cost basis of the units that stay.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import assert_never

from msgspec import Struct
from msgspec.structs import replace

from trimtab.contracts.quotes import Split
from trimtab.kernel.errors import Unprocessable
from trimtab.kernel.money import CONTEXT, MONEY_PLACES, QUANTITY_PLACES, ZERO, plain, to_places


class Side(StrEnum):
    """Direction of a trade or an order: BUY adds to a holding, SELL takes from it."""

    BUY = "BUY"
    SELL = "SELL"


class TradeKind(StrEnum):
    """Kind of a trade: bought or sold, or a movement of units or of cost without a trade.

    TRANSFER_IN: units come in with the cost basis that they had elsewhere (`amount`). TRANSFER_OUT: units leave at
    average cost, and nothing is realised. FREE_SHARES: units come in at cost 0. WRITE_OFF: units leave for nothing, and
    their cost is a realised loss. RETURN_OF_CAPITAL: cash comes in and reduces the cost basis; the excess over the cost
    basis is a realised profit. SPIN_OFF: units of a new symbol come in with a cost (`amount`) that is taken from the
    cost basis of another symbol, the parent.
    """

    TRADE = "trade"
    TRANSFER_IN = "transfer_in"
    TRANSFER_OUT = "transfer_out"
    FREE_SHARES = "free_shares"
    WRITE_OFF = "write_off"
    RETURN_OF_CAPITAL = "return_of_capital"
    SPIN_OFF = "spin_off"

    @property
    def side(self) -> Side | None:
        """BUY where units come in, SELL where units or cost go out, None for a trade of either side."""
        match self:
            case TradeKind.TRADE:
                return None
            case TradeKind.TRANSFER_IN | TradeKind.FREE_SHARES | TradeKind.SPIN_OFF:
                return Side.BUY
            case TradeKind.TRANSFER_OUT | TradeKind.WRITE_OFF | TradeKind.RETURN_OF_CAPITAL:
                return Side.SELL
            case _:
                assert_never(self)

    @property
    def moves_cash(self) -> bool:
        """True where the amount is paid or received in cash."""
        return self in {TradeKind.TRADE, TradeKind.RETURN_OF_CAPITAL}

    @property
    def has_units(self) -> bool:
        """True where units come in or go out, so that a quantity is stated."""
        return self is not TradeKind.RETURN_OF_CAPITAL

    @property
    def has_amount(self) -> bool:
        """True where an amount is stated: of cash, or of the cost of the units."""
        match self:
            case TradeKind.TRADE | TradeKind.TRANSFER_IN | TradeKind.RETURN_OF_CAPITAL | TradeKind.SPIN_OFF:
                return True
            case TradeKind.TRANSFER_OUT | TradeKind.FREE_SHARES | TradeKind.WRITE_OFF:
                return False
            case _:
                assert_never(self)

    @property
    def is_transfer(self) -> bool:
        """True where the owner moves units from or to another account."""
        return self in {TradeKind.TRANSFER_IN, TradeKind.TRANSFER_OUT}


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
    above zero only where its file has a buy after a sell of the symbol at the same instant. A `quantity` of zero
    changes only the cost basis: a return of capital, or the parent's side of a spin-off. `minor_units` are the decimals
    of money.
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
    kind: TradeKind = TradeKind.TRADE
    minor_units: int = MONEY_PLACES

    @property
    def net_proceeds(self) -> Decimal:
        """Amount less fees (money) of a sell, negative sum of amount and fees of a buy."""
        return net_proceeds(self.side, self.amount, self.fees, self.minor_units)

    @property
    def cash_change(self) -> Decimal:
        """Change of the portfolio's cash after fees (money): negative for a buy, zero where no cash moves."""
        return self.net_proceeds if self.kind.moves_cash else ZERO

    @property
    def sort_key(self) -> tuple[datetime, int, bool, Decimal, Decimal, Decimal, str, str]:
        """Sort key of the execution order: time, rank, buys before sells, then the values and the kind.

        The `ref_id` orders only trades of equal values, whose order changes nothing.
        """
        is_sell = self.side is Side.SELL
        values = (self.quantity, self.amount, self.fees, self.kind.value)
        return self.executed_at, self.tie_rank, is_sell, *values, self.ref_id


def net_proceeds(side: Side, amount: Decimal, fees: Decimal, minor_units: int = MONEY_PLACES) -> Decimal:
    """Return the money received for a trade after fees, below zero for a buy; the only rounding of amount and fees.

    `minor_units` are the decimals of money.

    >>> net_proceeds(Side.BUY, Decimal("100.004"), Decimal("1.00535"))
    Decimal('-101.01')
    """
    return -to_places(amount + fees, minor_units) if side is Side.BUY else to_places(amount - fees, minor_units)


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

        Raises `Unprocessable` for more units than held (`insufficient_quantity`), and for a spin-off that takes more
        than the cost basis (`insufficient_cost`). With `may_oversell` such a sell ends the holding instead, and the
        excess is added to `oversold`; such a spin-off takes the whole cost basis.

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
            cost_basis = self.cost_basis - trade.net_proceeds
            return self._with_sums(trade, quantity, cost_basis, self.realised_profit)
        if not trade.quantity:
            return self._with_reduced_cost(trade, may_exceed=may_oversell)
        excess = max(trade.quantity - self.quantity, ZERO)
        if excess and not may_oversell:
            raise Unprocessable(
                "insufficient_quantity",
                f"{trade.ref_id} takes {plain(trade.quantity)} {self.symbol}, but the portfolio holds "
                f"{plain(self.quantity)} at that time.",
            )
        left, cost_of_sold = self.quantity - trade.quantity + excess, self.cost_basis
        if left:
            sold_share = CONTEXT.divide(CONTEXT.multiply(self.cost_basis, trade.quantity), self.quantity)
            cost_of_sold = to_places(sold_share, trade.minor_units)
        profit = ZERO if trade.kind is TradeKind.TRANSFER_OUT else trade.net_proceeds - cost_of_sold
        sold = self._with_sums(trade, left, self.cost_basis - cost_of_sold, self.realised_profit + profit)
        return replace(sold, oversold=self.oversold + excess) if excess else sold

    def _with_reduced_cost(self, trade: TradeEffect, *, may_exceed: bool) -> "Holding":
        """Return the holding with less cost; the part of a return of capital above the cost basis is profit."""
        removed = min(trade.net_proceeds, self.cost_basis)
        excess = trade.net_proceeds - removed
        if not self.trade_count:
            raise Unprocessable(
                "insufficient_quantity", f"{trade.ref_id} needs {self.symbol} to be held before. Record its trades."
            )
        if excess and trade.kind is TradeKind.SPIN_OFF and not may_exceed:
            raise Unprocessable(
                "insufficient_cost",
                f"{trade.ref_id} takes a cost of {plain(trade.amount)} from {self.symbol}, whose cost basis is "
                f"{plain(self.cost_basis)} at that time.",
            )
        profit = self.realised_profit + (ZERO if trade.kind is TradeKind.SPIN_OFF else excess)
        return self._with_sums(trade, self.quantity, self.cost_basis - removed, profit)

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
