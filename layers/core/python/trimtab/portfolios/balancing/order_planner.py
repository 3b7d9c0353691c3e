"""The order planner: which orders lead a portfolio back to its target, within its cash and its policy.

Sells come first and pay for the buys. Every number is exact until it becomes a quantity, which is rounded towards doing
nothing; equal inputs always give equal plans.
"""

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, localcontext

from msgspec import Struct
from msgspec.structs import replace

from trimtab.kernel.money import (
    ZERO,
    to_money,
)
from trimtab.portfolios.balancing.order_sizing import CENT, Desk, Move, Trades
from trimtab.portfolios.portfolio.holdings import Side
from trimtab.portfolios.portfolio.policy import Destination, Mode, Policy
from trimtab.portfolios.rebalancing import drift as plan
from trimtab.portfolios.rebalancing.drift import CASH, Leg, Weights, targets, tolerance_of
from trimtab.portfolios.rebalancing.orders import PlannedOrder, SkippedLeg
from trimtab.portfolios.rebalancing.valuation import EXACT, Valuation

_SIDES = {
    Mode.FULL: frozenset({Side.SELL, Side.BUY}),
    Mode.INVEST_CASH: frozenset({Side.BUY}),
    Mode.SELL_ONLY: frozenset({Side.SELL}),
}


class OrderPlan(Struct, frozen=True):
    """The orders of a rebalance (sells first, the largest first) and what they come to at the planning prices.

    Legs are the moves in percent of the portfolio, cash among them; their changes sum to zero. Drift is in percent and
    counts cash as an asset; it is never greater afterwards. A skipped leg is a move, or the rest of one, that is not
    made: `mode` forbids its side, it is below the `minimum_trade`, less than one of `whole_shares`, there is `no_cash`
    for it, or `no_use`: cash that nothing needs is no closer to the target.
    """

    orders: tuple[PlannedOrder, ...]
    skipped: tuple[SkippedLeg, ...]
    legs: tuple[Leg, ...]
    drift_before: Decimal
    drift_after: Decimal
    within_band_after: bool


def outside(legs: tuple[Leg, ...], policy: Policy) -> tuple[Leg, ...]:
    """The legs, cash among them, that are further from their target than the policy allows."""
    return plan.outside(legs, tolerance_of(policy))


def headed(legs: tuple[Leg, ...], policy: Policy) -> Policy:
    """The policy with the destination that satisfies what called for the rebalance.

    To the band's edge moves nothing where all is inside, and too little where the total drift is then too large still:
    there the target is the destination.
    """
    if policy.destination is Destination.TARGET:
        return policy
    ends = (
        replace(leg, drifted=leg.drifted + leg.change)
        for leg in plan.moved(legs, tolerance_of(policy), policy.destination)
    )
    is_enough = policy.total_drift is None or plan.drift(tuple(ends)) <= policy.total_drift
    return policy if outside(legs, policy) and is_enough else replace(policy, destination=Destination.TARGET)


def plan_orders(valuation: Valuation, allocation: Weights, policy: Policy, mode: Mode) -> OrderPlan:
    """The orders that lead the portfolio to the policy's destination, at the valuation's prices.

    The valuation has a price for every symbol of the allocation too; `KeyError` where one is needed and not there.
    Nothing is sold that is not held, no order is below the minimum trade, no leg passes its target by more than part
    of a share. Even where every order fills at its limit price, the buys leave the cash buffer untouched. The band's
    edge is a destination only for what it can satisfy: see `headed`.
    """
    if not valuation.total:
        return OrderPlan((), (), (), ZERO, ZERO, True)
    with localcontext(EXACT):
        target = targets(allocation, policy)
        legs = plan.legs(valuation.weights, target)
        policy = headed(legs, policy)
        moved = plan.moved(legs, tolerance_of(policy), policy.destination)
        desk = Desk(valuation, target, policy, tolerance_of(policy))
        moves = tuple(desk.move(leg) for leg in moved if leg.change and leg.asset != CASH)
        allowed = [move for move in moves if move.side in _SIDES[mode]]
        trades = {move.symbol: -move.most for move in allowed if move.side is Side.SELL and desk.is_worthwhile(move)}
        end_of_cash = next((leg.drifted + leg.change for leg in moved if leg.asset == CASH), ZERO)
        trades |= _bought([move for move in allowed if move.side is Side.BUY], desk, trades, end_of_cash)
        if policy.whole_shares:
            trades = _improved(allowed, desk, trades, end_of_cash)
        if mode is Mode.FULL:
            trades = _needed(desk, trades)
        orders = (desk.order(symbol, quantity) for symbol, quantity in trades.items())
        skipped = (leg for move in moves if (leg := _skipped(move, desk, trades, mode)))
        return _outcome(desk, legs, trades, tuple(sorted(orders, key=_rank)), tuple(sorted(skipped, key=_rank)))


def _bought(buys: list[Move], desk: Desk, sells: Trades, end_of_cash: Decimal) -> Trades:
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


def _filled(moves: list[Move], desk: Desk, sells: Trades, end_of_cash: Decimal) -> Trades:
    bought: Trades = {}
    surely = desk.spendable(sells)
    planned = desk.cash_after(sells) - desk.money(end_of_cash)

    def fill(move: Move, wanted: Decimal) -> None:
        nonlocal surely, planned
        limit = desk.limit(move.symbol, Side.BUY)
        affordable = desk.steps(min(surely.quantize(CENT, ROUND_FLOOR) / limit, planned / move.price))
        quantity = max(ZERO, min(wanted, affordable))
        if quantity:
            bought[move.symbol] = bought.get(move.symbol, ZERO) + quantity
            surely -= (quantity * limit).quantize(CENT, ROUND_CEILING)
            planned -= quantity * move.price

    for move in sorted(moves, key=lambda move: (-move.least * move.price, move.symbol)):
        fill(move, move.least)
    # What has an order already is topped up before another order is begun: as close with fewer orders.
    for move in sorted(moves, key=lambda move: (move.symbol not in bought, -move.need, move.symbol)):
        fill(move, move.most - bought.get(move.symbol, ZERO))
    return bought


def _improved(moves: list[Move], desk: Desk, trades: Trades, end_of_cash: Decimal) -> Trades:
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


def _closer(move: Move, desk: Desk, traded: Decimal) -> Decimal:
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
        if now <= desk.money(desk.tolerance(leg)):
            return ZERO
    return max(ZERO, now - desk.distance(symbol, held + more * move.price))


def _gain(move: Move, desk: Desk, traded: Decimal, left: Decimal, cash: Decimal) -> Decimal:
    """By how much money one more share that is bought brings the portfolio closer; zero where it must not be."""
    closer = _closer(move, desk, traded)
    if not closer or desk.limit(move.symbol, Side.BUY) > left.quantize(CENT, ROUND_FLOOR):
        return ZERO
    return closer + desk.distance(CASH, cash) - desk.distance(CASH, cash - move.price)


def _needed(desk: Desk, trades: Trades) -> Trades:
    """The trades without those that nothing needs, and without the part of a sell that only makes cash idle."""
    needed = trades
    for _ in trades:
        needed, before = _trimmed(desk, needed), needed
        if needed == before:
            break
    return needed


def _trimmed(desk: Desk, trades: Trades) -> Trades:
    """What is needed of each, the smallest first.

    An order is needed where without it the drift were greater or the buys not paid for, and where it brings its leg
    inside its band; a sell, though, only if all ends inside its band: else it trades one excess for another.
    """
    needed, ends_inside = dict(trades), _ends_inside(desk, trades)
    for symbol in sorted(trades, key=lambda it: (trades[it] < 0, abs(trades[it]) * desk.valuation.prices[it], it)):
        traded, is_buy, least = abs(trades[symbol]), trades[symbol] > 0, desk.to_be_inside(symbol)
        if least and not is_buy:
            least = max(least, desk.least_order(symbol))
            if not ends_inside and (least >= traded or not _ends_inside(desk, {**needed, symbol: -least})):
                least = ZERO
        kept = [] if least else [ZERO]
        if not is_buy:
            kept.append(max(least, desk.least_order(symbol), traded - desk.idle(symbol, needed)))
        for quantity in kept:
            if quantity and (traded - quantity) * desk.valuation.prices[symbol] < desk.least_amount:
                continue
            rest = {**needed, symbol: quantity.copy_sign(trades[symbol])} if quantity else _without(symbol, needed)
            if desk.is_paid_for(rest) and desk.misplaced(rest) <= desk.misplaced(needed):
                needed = rest
                break
    return needed


def _ends_inside(desk: Desk, trades: Trades) -> bool:
    return desk.is_paid_for(trades) and not outside(plan.legs(desk.weights_after(trades), desk.target), desk.policy)


def _without(symbol: str, trades: Trades) -> Trades:
    return {it: quantity for it, quantity in trades.items() if it != symbol}


def _skipped(move: Move, desk: Desk, trades: Trades, mode: Mode) -> SkippedLeg | None:
    """The move, or the rest of it, if it is not made."""
    left = move.most - abs(trades.get(move.symbol, ZERO))
    unmade = "no_use" if move.side is Side.SELL else "no_cash"
    if move.symbol in trades:
        notional = to_money(max(ZERO, left) * move.price)
        return SkippedLeg(move.symbol, move.side, notional, unmade) if notional else None
    if move.side not in _SIDES[mode]:
        reason = "mode"
    elif desk.policy.whole_shares and not move.most:
        reason = "whole_shares"
    else:
        reason = unmade if desk.is_worthwhile(move) else "minimum_trade"
    return SkippedLeg(move.symbol, move.side, to_money(move.need), reason)


def _rank(each: PlannedOrder | SkippedLeg) -> tuple[bool, Decimal, str]:
    return each.side is Side.BUY, -each.notional, each.symbol


def _outcome(
    desk: Desk,
    legs: tuple[Leg, ...],
    trades: Trades,
    orders: tuple[PlannedOrder, ...],
    skipped: tuple[SkippedLeg, ...],
) -> OrderPlan:
    weights = desk.weights_after(trades)
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
