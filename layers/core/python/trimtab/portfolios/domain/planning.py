"""The order planner: which orders lead a portfolio back to its target, within its cash and its policy.

Sells come first and pay for the buys. Every number is exact until it becomes a quantity, which is rounded towards doing
nothing; equal inputs always give equal plans.
"""

from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, localcontext

from trimtab.kernel.money import (
    HUNDRED,
    MONEY_PLACES,
    PERCENT_PLACES,
    QUANTITY_PLACES,
    ZERO,
    apportion,
    to_money,
    to_percent,
)
from trimtab.portfolios.domain import plan
from trimtab.portfolios.domain.ledger import Side
from trimtab.portfolios.domain.orders import CASH, PlannedOrder, SkippedLeg
from trimtab.portfolios.domain.plan import Leg, Tolerance, Weights
from trimtab.portfolios.domain.policy import Destination, Mode, Policy
from trimtab.portfolios.domain.valuation import EXACT, Valuation, value

Trades = dict[str, Decimal]
"""Quantities by symbol: bought above zero, sold below it."""

_CENT = Decimal(1).scaleb(-MONEY_PLACES)
_GRAIN = Decimal(1).scaleb(-QUANTITY_PLACES)
_UNIT = Decimal(1).scaleb(-PERCENT_PLACES)
_SIDES = {
    Mode.FULL: frozenset({Side.SELL, Side.BUY}),
    Mode.INVEST_CASH: frozenset({Side.BUY}),
    Mode.SELL_ONLY: frozenset({Side.SELL}),
}


@dataclass(frozen=True, slots=True)
class OrderPlan:
    """The orders of a rebalance (sells first, the largest first) and what they come to at the planning prices.

    Legs are the moves in percent of the portfolio, cash among them; their changes sum to zero. Drift is in percent and
    counts cash as an asset; it is never greater afterwards. A skipped leg is a move, or the rest of one, that is not
    made: `mode` forbids its side, it is below the `minimum_trade`, less than one of `whole_shares`, or there is
    `no_cash` for it.
    """

    orders: tuple[PlannedOrder, ...]
    skipped: tuple[SkippedLeg, ...]
    legs: tuple[Leg, ...]
    drift_before: Decimal
    drift_after: Decimal
    within_band_after: bool


def targets(allocation: Weights, policy: Policy) -> dict[str, Decimal]:
    """The target weights with cash among them, in percents of 4 places that sum to exactly 100.

    Cash has its own target; the assets share the rest in proportion to the allocation.
    """
    assets = apportion(HUNDRED - to_percent(policy.cash_target), allocation, PERCENT_PLACES)
    return assets | {CASH: HUNDRED - sum(assets.values(), ZERO)}


def tolerance_of(policy: Policy) -> Tolerance:
    """How far each leg may be from its target: its band; for cash at least one point more than the buffer.

    So the cash that a plan has to leave does not by itself call for the next one.
    """
    band, for_cash = policy.price_band, policy.cash_buffer + 1
    return lambda leg: max(band.tolerance(leg.target), for_cash) if leg.asset == CASH else band.tolerance(leg.target)


def outside(legs: tuple[Leg, ...], policy: Policy) -> tuple[Leg, ...]:
    """The legs, cash among them, that are further from their target than the policy allows."""
    return plan.outside(legs, tolerance_of(policy))


def plan_orders(valuation: Valuation, allocation: Weights, policy: Policy, mode: Mode) -> OrderPlan:
    """The orders that lead the portfolio to the policy's destination, at the valuation's prices.

    The valuation has a price for every symbol of the allocation too; `KeyError` where one is needed and not there.
    Nothing is sold that is not held, no order is below the minimum trade, no leg passes its target by more than part
    of a share. Even where every order fills at its limit price, the buys leave the cash buffer untouched.
    """
    if not valuation.total:
        return OrderPlan((), (), (), ZERO, ZERO, True)
    with localcontext(EXACT):
        target = targets(allocation, policy)
        legs = plan.legs(valuation.weights, target)
        moved = plan.moved(legs, tolerance_of(policy), policy.destination)
        desk = _Desk(valuation, target, policy)
        moves = tuple(desk.move(leg) for leg in moved if leg.change and leg.asset != CASH)
        allowed = [move for move in moves if move.side in _SIDES[mode]]
        trades = {move.symbol: -move.most for move in allowed if move.side is Side.SELL and desk.is_worthwhile(move)}
        end_of_cash = next((leg.drifted + leg.change for leg in moved if leg.asset == CASH), ZERO)
        trades |= _bought([move for move in allowed if move.side is Side.BUY], desk, trades, end_of_cash)
        if policy.whole_shares:
            trades = _improved(allowed, desk, trades, end_of_cash)
        orders = (desk.order(symbol, quantity) for symbol, quantity in trades.items())
        skipped = (leg for move in moves if (leg := _skipped(move, desk, trades, mode)))
        return _outcome(desk, legs, trades, tuple(sorted(orders, key=_rank)), tuple(sorted(skipped, key=_rank)))


@dataclass(frozen=True, slots=True)
class _Move:
    """A leg that has to change: by `need` (money) or, in tradable steps, by at most `most` to reach its end.

    `least` is the quantity that brings an underweight inside its band, zero where it is inside already.
    """

    symbol: str
    side: Side
    price: Decimal
    need: Decimal
    most: Decimal
    least: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class _Desk:
    """What every step of planning looks at: the portfolio at its prices, its target and its policy."""

    valuation: Valuation
    target: Weights
    policy: Policy

    @property
    def step(self) -> Decimal:
        """The smallest quantity that is traded."""
        return Decimal(1) if self.policy.whole_shares else _GRAIN

    def money(self, weight: Decimal) -> Decimal:
        """What a weight is worth, unrounded."""
        return weight * self.valuation.total / 100

    def steps(self, quantity: Decimal, rounding: str = ROUND_FLOOR) -> Decimal:
        """The quantity in whole steps, with 9 places."""
        return ((quantity / self.step).to_integral_value(rounding) * self.step).quantize(_GRAIN)

    def limit(self, symbol: str, side: Side) -> Decimal:
        """The worst price that an order may fill at: off by the slippage, rounded inwards, above zero."""
        price, slippage = self.valuation.prices[symbol], self.policy.max_slippage
        if side is Side.BUY:
            return (price * (HUNDRED + slippage) / 100).quantize(_GRAIN, ROUND_FLOOR)
        return max((price * (HUNDRED - slippage) / 100).quantize(_GRAIN, ROUND_CEILING), _GRAIN)

    def move(self, leg: Leg) -> _Move:
        """The move that this leg stands for."""
        symbol, price = leg.asset, self.valuation.prices[leg.asset]
        end, worth = leg.drifted + leg.change, self.valuation.values.get(leg.asset, ZERO)
        need = abs(self.money(end) - worth)
        most = self.steps(need / price)
        if leg.change < 0:
            held = self.valuation.quantities[symbol]
            is_closed = not end and not self.policy.whole_shares
            return _Move(symbol, Side.SELL, price, need, held if is_closed else min(most, held))
        edge = (leg.target - tolerance_of(self.policy)(leg)).quantize(_UNIT, ROUND_CEILING)
        if leg.drifted >= edge:
            return _Move(symbol, Side.BUY, price, need, most)
        # What is started has to be worth an order.
        wanted = max(self.money(edge) - worth, self.policy.minimum_trade, _CENT)
        return _Move(symbol, Side.BUY, price, need, most, min(most, self.steps(wanted / price, ROUND_CEILING)))

    def is_worthwhile(self, move: _Move, quantity: Decimal | None = None) -> bool:
        """Whether this much of the move, or all of it, is an order: at least the minimum trade, before and after it
        is rounded to money."""
        amount = (move.most if quantity is None else quantity) * move.price
        return min(amount, to_money(amount)) >= max(self.policy.minimum_trade, _CENT)

    def order(self, symbol: str, quantity: Decimal) -> PlannedOrder:
        """The order of this trade."""
        side = Side.BUY if quantity > 0 else Side.SELL
        return PlannedOrder(
            symbol, side, abs(quantity).quantize(_GRAIN), self.valuation.prices[symbol], self.limit(symbol, side)
        )

    def spendable(self, trades: Trades) -> Decimal:
        """What is left above the cash buffer if all of these fill at their limit prices, to the cent."""
        left = self.valuation.cash - self.money(self.policy.cash_buffer)
        for symbol, quantity in trades.items():
            # Paid is rounded up, received is rounded down: both are the floor of what is added.
            limit = self.limit(symbol, Side.BUY if quantity > 0 else Side.SELL)
            left += (-quantity * limit).quantize(_CENT, ROUND_FLOOR)
        return left

    def cash_after(self, trades: Trades) -> Decimal:
        """The cash if all of these fill at their planning prices, unrounded."""
        return self.valuation.cash - sum(
            (each * self.valuation.prices[symbol] for symbol, each in trades.items()), ZERO
        )

    def distance(self, symbol: str, worth: Decimal) -> Decimal:
        """How far what is worth this much is from its target, in money."""
        return abs(worth - self.money(self.target.get(symbol, ZERO)))

    def misplaced(self, trades: Trades) -> Decimal:
        """Twice the drift after these trades, in money and unrounded."""
        worth = dict(self.valuation.values)
        for symbol, quantity in trades.items():
            worth[symbol] = worth.get(symbol, ZERO) + quantity * self.valuation.prices[symbol]
        worth[CASH] = self.cash_after(trades)
        return sum((self.distance(name, worth.get(name, ZERO)) for name in {*worth, *self.target}), ZERO)


def _bought(buys: list[_Move], desk: _Desk, sells: Trades, end_of_cash: Decimal) -> Trades:
    """What the cash buys: what is outside its band goes to its edge first, then the largest need is met first."""
    moves = [move for move in buys if desk.is_worthwhile(move)]
    for _ in buys:
        bought = _filled(moves, desk, sells, end_of_cash)
        too_small = [
            move for move in moves if move.symbol in bought and not desk.is_worthwhile(move, bought[move.symbol])
        ]
        if not too_small:
            return bought
        smallest = min(too_small, key=lambda move: (move.need, move.symbol))
        moves.remove(smallest)  # and what it was given goes to the others
    return {}


def _filled(moves: list[_Move], desk: _Desk, sells: Trades, end_of_cash: Decimal) -> Trades:
    bought: Trades = {}
    surely = desk.spendable(sells)
    planned = desk.cash_after(sells) - desk.money(end_of_cash)

    def fill(move: _Move, wanted: Decimal) -> None:
        nonlocal surely, planned
        limit = desk.limit(move.symbol, Side.BUY)
        affordable = desk.steps(min(surely.quantize(_CENT, ROUND_FLOOR) / limit, planned / move.price))
        quantity = max(ZERO, min(wanted, affordable))
        if quantity:
            bought[move.symbol] = bought.get(move.symbol, ZERO) + quantity
            surely -= (quantity * limit).quantize(_CENT, ROUND_CEILING)
            planned -= quantity * move.price

    for move in sorted(moves, key=lambda move: (-move.least * move.price, move.symbol)):
        fill(move, move.least)
    # What has an order already is topped up before another order is begun: as close with fewer orders.
    for move in sorted(moves, key=lambda move: (move.symbol not in bought, -move.need, move.symbol)):
        fill(move, move.most - bought.get(move.symbol, ZERO))
    return bought


def _improved(moves: list[_Move], desk: _Desk, trades: Trades, end_of_cash: Decimal) -> Trades:
    """One more whole share of a leg while that brings the leg and, with what it pays for, the portfolio closer."""
    sells = [move for move in moves if move.side is Side.SELL]
    buys = [move for move in moves if move.side is Side.BUY]
    best = dict(trades)
    # A share more that is sold helps by what it pays for, so the buys are made again with it.
    for move in sorted(sells, key=lambda move: (-_closer(move, desk, trades.get(move.symbol, ZERO)), move.symbol)):
        sold = {symbol: quantity for symbol, quantity in best.items() if quantity < 0}
        sold[move.symbol] = sold.get(move.symbol, ZERO) - 1
        if _closer(move, desk, best.get(move.symbol, ZERO)) > 0:
            other = sold | _bought(buys, desk, sold, end_of_cash)
            best = min(best, other, key=desk.misplaced)
    for _ in buys:
        left, cash = desk.spendable(best), desk.cash_after(best)
        gains = ((_gain(move, desk, best.get(move.symbol, ZERO), left, cash), move) for move in buys)
        gain, move = min(gains, key=lambda each: (-each[0], each[1].symbol))
        if gain <= 0:
            break
        best[move.symbol] = best.get(move.symbol, ZERO) + 1
    return best


def _closer(move: _Move, desk: _Desk, traded: Decimal) -> Decimal:
    """By how much money one more share brings its leg closer to the target; zero where it must not be traded.

    To the band's edge, only what is still outside its band may get one.
    """
    symbol, more = move.symbol, traded + (1 if move.side is Side.BUY else -1)
    if desk.valuation.quantities.get(symbol, ZERO) + more < 0 or not desk.is_worthwhile(move, abs(more)):
        return ZERO
    held = desk.valuation.values.get(symbol, ZERO)
    now = desk.distance(symbol, held + traded * move.price)
    if desk.policy.destination is Destination.BAND_EDGE:
        leg = Leg(symbol, ZERO, desk.target.get(symbol, ZERO))
        if now <= desk.money(tolerance_of(desk.policy)(leg)):
            return ZERO
    return max(ZERO, now - desk.distance(symbol, held + more * move.price))


def _gain(move: _Move, desk: _Desk, traded: Decimal, left: Decimal, cash: Decimal) -> Decimal:
    """By how much money one more share that is bought brings the portfolio closer; zero where it must not be."""
    closer = _closer(move, desk, traded)
    if not closer or desk.limit(move.symbol, Side.BUY) > left.quantize(_CENT, ROUND_FLOOR):
        return ZERO
    return closer + desk.distance(CASH, cash) - desk.distance(CASH, cash - move.price)


def _skipped(move: _Move, desk: _Desk, trades: Trades, mode: Mode) -> SkippedLeg | None:
    """The move, or the rest of it, if it is not made."""
    left = move.most - abs(trades.get(move.symbol, ZERO))
    if move.symbol in trades:
        notional = to_money(max(ZERO, left) * move.price)
        return SkippedLeg(move.symbol, move.side, notional, "no_cash") if notional else None
    if move.side not in _SIDES[mode]:
        reason = "mode"
    elif desk.policy.whole_shares and not move.most:
        reason = "whole_shares"
    else:
        reason = "no_cash" if desk.is_worthwhile(move) else "minimum_trade"
    return SkippedLeg(move.symbol, move.side, to_money(move.need), reason)


def _rank(each: PlannedOrder | SkippedLeg) -> tuple[bool, Decimal, str]:
    return each.side is Side.BUY, -each.notional, each.symbol


def _outcome(
    desk: _Desk,
    legs: tuple[Leg, ...],
    trades: Trades,
    orders: tuple[PlannedOrder, ...],
    skipped: tuple[SkippedLeg, ...],
) -> OrderPlan:
    held = desk.valuation.quantities
    quantities = {symbol: held.get(symbol, ZERO) + trades.get(symbol, ZERO) for symbol in sorted({*held, *trades})}
    weights = value(quantities, desk.valuation.prices, desk.cash_after(trades)).weights
    after = plan.legs(weights, desk.target)
    before = plan.drift(legs)
    # Unrounded the drift cannot grow; weights of 4 places may make it look so.
    drift_after = min(plan.drift(after), before)
    return OrderPlan(
        orders, skipped, _changed(legs, weights, trades), before, drift_after, not outside(after, desk.policy)
    )


def _changed(legs: tuple[Leg, ...], weights: Weights, trades: Trades) -> tuple[Leg, ...]:
    """The legs with the moves that are made; what is not traded does not move, cash takes up the rest."""
    changes: dict[str, Decimal] = {}
    for leg in legs:
        change, traded = weights.get(leg.asset, ZERO) - leg.drifted, trades.get(leg.asset, ZERO)
        changes[leg.asset] = change if change * traded > 0 else ZERO
    changes[CASH] = ZERO
    changes[CASH] = -sum(changes.values(), ZERO)
    return tuple(Leg(leg.asset, leg.drifted, leg.target, changes[leg.asset]) for leg in legs)
