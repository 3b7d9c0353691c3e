"""Totals over orders: the totals of a user, and the exposure on one selection.

Every order contributes its own totals. A change of an order adds the difference of its contributions, so the stored
totals of a user always equal the sum over all orders of the user.
"""

from collections.abc import Iterable, Mapping
from decimal import ROUND_FLOOR, Decimal
from typing import Any, Self, assert_never

from msgspec import Struct

from trimtab.betting.domain.keys import totals_key
from trimtab.betting.domain.orders import BetOrder, BetStatus
from trimtab.betting.domain.results import BetSide, compute_exposure, compute_winnings
from trimtab.contracts.stored_form import FORM, UnknownForm, form_version
from trimtab.kernel.money import CONTEXT, HUNDRED, MONEY_PLACES, ZERO, to_percent, to_places

_NOTHING = Decimal("0.00")
CENT = Decimal("0.01")


class Totals(Struct, frozen=True):
    """Base of totals, which are added member by member: Decimals are money with 2 places, ints are counts."""

    def plus(self, other: Self) -> Self:
        """Return the sum of both."""
        return self._combine(other, 1)

    def minus(self, other: Self) -> Self:
        """Return the difference of both."""
        return self._combine(other, -1)

    def _combine(self, other: Self, sign: int) -> Self:
        return type(self)(
            **{name: getattr(self, name) + sign * getattr(other, name) for name in self.__struct_fields__}
        )

    def to_cents(self) -> dict[str, int]:
        """Return the members that are not 0 as whole numbers, money in cents: DynamoDB can add to whole numbers."""
        members = {name: getattr(self, name) for name in self.__struct_fields__}
        return {
            name: int(member.scaleb(MONEY_PLACES)) if isinstance(member, Decimal) else member
            for name, member in members.items()
            if member
        }

    @classmethod
    def from_cents(cls, stored: Mapping[str, Any]) -> Self:
        """Return stored totals: a missing member is 0, an unknown member is ignored."""
        nothing = cls()
        members: dict[str, Any] = {}
        for name in cls.__struct_fields__:
            number = int(stored.get(name, 0))
            is_money = isinstance(getattr(nothing, name), Decimal)
            members[name] = Decimal(number).scaleb(-MONEY_PLACES) if is_money else number
        return cls(**members)


class OrderTotals(Totals, frozen=True):
    """Totals over orders of one user. A cancelled order counts in `orders_placed` and `orders_cancelled` only.

    `settled_stake` and `settled_profit` leave void orders out, as void orders decide nothing. `profit` is net of
    `commission`. `open_worst_case` is the largest possible loss of the open orders with hedges netted, summed over the
    markets: a member of a position, not of a single order.
    """

    orders_placed: int = 0
    orders_open: int = 0
    orders_settled: int = 0
    orders_won: int = 0
    orders_void: int = 0
    orders_cancelled: int = 0
    total_stake: Decimal = _NOTHING
    total_payout: Decimal = _NOTHING
    open_stake: Decimal = _NOTHING
    open_exposure: Decimal = _NOTHING
    settled_stake: Decimal = _NOTHING
    settled_profit: Decimal = _NOTHING
    profit: Decimal = _NOTHING
    commission: Decimal = _NOTHING
    open_worst_case: Decimal = _NOTHING

    @property
    def roi(self) -> Decimal:
        """Return on investment: settled profit in percent of settled stake, 4 places; 0 if no order is settled."""
        return _percent(self.settled_profit, self.settled_stake)

    @property
    def win_rate(self) -> Decimal:
        """Winning orders in percent of settled orders, 4 places; 0 if no order is settled."""
        return _percent(Decimal(self.orders_won), Decimal(self.orders_settled))


def totals_of_order(order: BetOrder) -> OrderTotals:
    """Return the contribution of an order to the totals of the user."""
    match order.status:
        case BetStatus.CANCELLED:
            return OrderTotals(orders_placed=1, orders_cancelled=1)
        case BetStatus.OPEN:
            return OrderTotals(
                orders_placed=1,
                orders_open=1,
                total_stake=order.stake,
                open_stake=order.stake,
                open_exposure=order.exposure,
            )
        case BetStatus.SETTLED:
            return _totals_of_settled_order(order)
    assert_never(order.status)


def _totals_of_settled_order(order: BetOrder) -> OrderTotals:
    settlement, pnl = order.settlement, order.pnl
    assert settlement is not None  # noqa: S101 - a settled order has a settlement
    assert pnl is not None  # noqa: S101
    totals = OrderTotals(
        orders_placed=1,
        total_stake=order.stake,
        total_payout=settlement.payout,
        profit=pnl,
        commission=settlement.commission,
    )
    if settlement.selection_result.is_void:
        return totals.plus(OrderTotals(orders_void=1))
    decided = OrderTotals(
        orders_settled=1, orders_won=int(order.has_won), settled_stake=order.stake, settled_profit=pnl
    )
    return totals.plus(decided)


def totals_of_commission(amount: Decimal) -> OrderTotals:
    """Return the contribution of the commission of a market."""
    return OrderTotals(settled_profit=-amount, profit=-amount, commission=amount)


def sum_totals(totals: Iterable[OrderTotals]) -> OrderTotals:
    """Return the sum of all totals."""
    result = OrderTotals()
    for each in totals:
        result = result.plus(each)
    return result


def _percent(part: Decimal, whole: Decimal) -> Decimal:
    return to_percent(CONTEXT.divide(part * HUNDRED, whole)) if whole else to_percent(ZERO)


class UserTotals(Struct, frozen=True):
    """The stored totals of a user over all markets; version 0 stands for a user without orders."""

    totals: OrderTotals = OrderTotals()
    version: int = 0

    def to_item(self, tenant_id: str, user_id: str) -> dict[str, Any]:
        """Return the item, an attribute for each total: an update can add to the totals without reading them."""
        names = {"tenant_id": tenant_id, "user_id": user_id, "version": self.version, FORM: 1}
        return {**totals_key(tenant_id, user_id), **names, **self.totals.to_cents()}

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> Self:
        """Return the totals in the item of a user."""
        match form_version(item):
            case 1:
                return cls(OrderTotals.from_cents(item), item["version"])
            case other:
                raise UnknownForm("totals of a user", other)


class SelectionExposure(Totals, frozen=True):
    """The orders of one user on one selection.

    `back_profit` is the sum of (odds - 1) * stake over open BACK orders, `lay_liability` the same over open LAY
    orders. `realised` is the profit and loss of the settled orders, after their commission.
    """

    back_stake: Decimal = _NOTHING
    back_profit: Decimal = _NOTHING
    lay_stake: Decimal = _NOTHING
    lay_liability: Decimal = _NOTHING
    realised: Decimal = _NOTHING

    @property
    def exposure(self) -> Decimal:
        """The sum of the largest possible losses of the open orders; BACK and LAY are not netted."""
        return self.back_stake + self.lay_liability

    @property
    def if_win(self) -> Decimal:
        """The profit of the open orders if the selection wins."""
        return self.back_profit - self.lay_liability

    @property
    def if_lose(self) -> Decimal:
        """The profit of the open orders if the selection loses."""
        return self.lay_stake - self.back_stake

    @property
    def side(self) -> BetSide | None:
        """The net side of the open orders; None if their profit is the same for either result."""
        if self.if_win == self.if_lose:
            return None
        return BetSide.BACK if self.if_win > self.if_lose else BetSide.LAY

    def compute_hedge(self, odds: Decimal) -> "Hedge | None":
        """Return the order at these odds that makes the profit as equal for both results as whole cents allow.

        The exact stake is |if_win - if_lose| / odds. Of the two stakes in cents around the exact stake, the hedge has
        the stake whose two profits are closer, for equal distances the smaller stake. For BACK orders alone the hedge
        is the cash-out: a LAY of back odds * back stake / lay odds. None if no order can be placed that hedges.

        >>> exposure = SelectionExposure(back_stake=Decimal("10.00"), back_profit=Decimal("25.00"))
        >>> exposure.compute_hedge(Decimal("2.80"))
        Hedge(side=<BetSide.LAY: 'LAY'>, odds=Decimal('2.80'), stake=Decimal('12.50'), if_win=Decimal('2.50'), \
if_lose=Decimal('2.50'))
        """
        difference = self.if_win - self.if_lose
        side = BetSide.LAY if difference > 0 else BetSide.BACK
        lower = to_places(CONTEXT.divide(abs(difference), odds), MONEY_PLACES, ROUND_FLOOR)
        hedges = [self._hedge(side, stake, odds) for stake in (lower, lower + CENT)]
        best = min(hedges, key=lambda hedge: abs(hedge.if_win - hedge.if_lose))
        return best if compute_exposure(side, best.stake, odds) else None

    def _hedge(self, side: BetSide, stake: Decimal, odds: Decimal) -> "Hedge":
        winnings = compute_winnings(stake, odds)
        return Hedge(side, odds, stake, self.if_win + side.sign * winnings, self.if_lose - side.sign * stake)

    @property
    def own_odds(self) -> Decimal | None:
        """The stake-weighted average odds of the open orders on the net side, not rounded; None without such orders."""
        match self.side:
            case BetSide.BACK if self.back_stake:
                return 1 + CONTEXT.divide(self.back_profit, self.back_stake)
            case BetSide.LAY if self.lay_stake:
                return 1 + CONTEXT.divide(self.lay_liability, self.lay_stake)
        return None


class Hedge(Struct, frozen=True):
    """An order that hedges a selection, and the profit of all open orders after it for either result, in money."""

    side: BetSide
    odds: Decimal
    stake: Decimal
    if_win: Decimal
    if_lose: Decimal


def exposure_of_order(order: BetOrder) -> SelectionExposure:
    """Return the contribution of an order to the exposure on the selection."""
    if order.is_open:
        winnings = compute_winnings(order.stake, order.odds)
        if order.side is BetSide.BACK:
            return SelectionExposure(back_stake=order.stake, back_profit=winnings)
        return SelectionExposure(lay_stake=order.stake, lay_liability=winnings)
    return SelectionExposure(realised=order.pnl) if order.pnl is not None else SelectionExposure()
