"""Sums over orders. Each order contributes to them by what it is, so any change adds a difference, and the sums of a
user equal the fold of the user's orders whatever came in between."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Self, cast

from msgspec import Struct

from trimtab.betting.domain.orders import Order, OrderStatus
from trimtab.betting.domain.results import Side, potential
from trimtab.kernel.money import CONTEXT, HUNDRED, ZERO, to_percent

_CENTS = 100


class Sum:
    """Numbers that are added member by member; those in money are Decimals, counts are whole."""

    __slots__ = ()

    def plus(self, other: Self) -> Self:
        """The sum of both."""
        return self._with(other, 1)

    def minus(self, other: Self) -> Self:
        """The difference of both."""
        return self._with(other, -1)

    def _with(self, other: Self, sign: int) -> Self:
        names = cast(Any, self).__struct_fields__
        return type(self)(**{name: getattr(self, name) + sign * getattr(other, name) for name in names})

    def whole(self) -> dict[str, int]:
        """The members as whole numbers, money in cents: what a store can add to without reading it first."""
        found = {name: getattr(self, name) for name in cast(Any, self).__struct_fields__}
        return {name: int(it * _CENTS) if isinstance(it, Decimal) else it for name, it in found.items()}

    @classmethod
    def from_whole(cls, members: Mapping[str, int]) -> Self:
        """The sum of these whole numbers; what is not there is zero."""
        found: dict[str, Any] = {}
        kind = cast(Any, cls)
        for name, default in zip(kind.__struct_fields__, kind.__struct_defaults__, strict=True):
            number = members.get(name, 0)
            found[name] = Decimal(number) / _CENTS if isinstance(default, Decimal) else number
        return cls(**{name: it.quantize(_UNIT) if isinstance(it, Decimal) else it for name, it in found.items()})


_UNIT = Decimal("0.01")
_NOTHING = Decimal("0.00")


class Tally(Sum, Struct, frozen=True):
    """The sums over some orders of a user. Cancelled orders count as placed and in nothing else.

    `settled_…` leave void orders out: those decided nothing.
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

    @property
    def roi(self) -> Decimal:
        """Settled profit in percent of settled stake, 4 places; 0 before anything is settled."""
        return _percent(self.settled_profit, self.settled_stake)

    @property
    def win_rate(self) -> Decimal:
        """Winning orders in percent of the settled, 4 places; 0 before anything is settled."""
        return _percent(Decimal(self.orders_won), Decimal(self.orders_settled))


def tally(order: Order) -> Tally:
    """What an order contributes."""
    match order.status:
        case OrderStatus.CANCELLED:
            return Tally(orders_placed=1, orders_cancelled=1)
        case OrderStatus.OPEN:
            return Tally(
                orders_placed=1,
                orders_open=1,
                total_stake=order.stake,
                open_stake=order.stake,
                open_exposure=order.exposure,
            )
        case OrderStatus.SETTLED:
            return _of_settled(order)


def _of_settled(order: Order) -> Tally:
    settlement, pnl = order.settlement, order.pnl
    assert settlement is not None  # noqa: S101 - its status says so
    assert pnl is not None  # noqa: S101
    all_of_them = Tally(
        orders_placed=1,
        total_stake=order.stake,
        total_payout=settlement.payout,
        profit=pnl,
        commission=settlement.commission,
    )
    if settlement.verdict.is_void:
        return all_of_them.plus(Tally(orders_void=1))
    decided = Tally(orders_settled=1, orders_won=int(order.has_won), settled_stake=order.stake, settled_profit=pnl)
    return all_of_them.plus(decided)


def of_commission(amount: Decimal) -> Tally:
    """What commission on the net winnings of a market contributes."""
    return Tally(settled_profit=-amount, profit=-amount, commission=amount)


def total(tallies: Iterable[Tally]) -> Tally:
    """The sum of them all."""
    found = Tally()
    for each in tallies:
        found = found.plus(each)
    return found


def _percent(part: Decimal, whole: Decimal) -> Decimal:
    return to_percent(CONTEXT.divide(part * HUNDRED, whole)) if whole else to_percent(ZERO)


class Stakes(Sum, Struct, frozen=True):
    """The orders of a user on one selection: open ones by side, and what the settled ones earned.

    `back_profit` is Σ (odds - 1) * stake over open backs, `lay_liability` the same over open lays.
    """

    back_stake: Decimal = _NOTHING
    back_profit: Decimal = _NOTHING
    lay_stake: Decimal = _NOTHING
    lay_liability: Decimal = _NOTHING
    realised: Decimal = _NOTHING

    @property
    def exposure(self) -> Decimal:
        """What the open orders can lose, nothing netted."""
        return self.back_stake + self.lay_liability

    @property
    def if_win(self) -> Decimal:
        """What the open orders earn where the selection wins."""
        return self.back_profit - self.lay_liability

    @property
    def if_lose(self) -> Decimal:
        """What the open orders earn where the selection does not win."""
        return self.lay_stake - self.back_stake

    @property
    def side(self) -> Side | None:
        """On which side the open orders stand in sum; None where the result does not matter to them."""
        if self.if_win == self.if_lose:
            return None
        return Side.BACK if self.if_win > self.if_lose else Side.LAY

    def hedge(self, odds: Decimal) -> tuple[Side, Decimal] | None:
        """The bet at these odds after which the result does not matter any more, its stake not rounded.

        Of backs alone it is a LAY of back odds * back stake / lay odds: the cash-out.
        """
        difference = self.if_win - self.if_lose
        if not difference:
            return None
        return Side.LAY if difference > 0 else Side.BACK, CONTEXT.divide(abs(difference), odds)

    @property
    def own_odds(self) -> Decimal | None:
        """The odds at which the open bets of the side in sum were placed, on average and not rounded."""
        match self.side:
            case Side.BACK if self.back_stake:
                return 1 + CONTEXT.divide(self.back_profit, self.back_stake)
            case Side.LAY if self.lay_stake:
                return 1 + CONTEXT.divide(self.lay_liability, self.lay_stake)
        return None


def stakes(order: Order) -> Stakes:
    """What an order contributes to its selection."""
    if order.is_open:
        earned = potential(order.stake, order.odds)
        if order.side is Side.BACK:
            return Stakes(back_stake=order.stake, back_profit=earned)
        return Stakes(lay_stake=order.stake, lay_liability=earned)
    return Stakes(realised=order.pnl) if order.pnl is not None else Stakes()
