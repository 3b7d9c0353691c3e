"""Needless trades: trades that bring nothing closer to its target, and the part of sells for idle cash only."""

from decimal import Decimal

from trimtab.kernel.money import ZERO
from trimtab.portfolios.balancing.order_sizing import OrderSizing, Quantities
from trimtab.portfolios.rebalancing import drift
from trimtab.portfolios.rebalancing.drift import CASH


def drop_needless(sizing: OrderSizing, trades: Quantities) -> Quantities:
    """Return the needed trades, and sells without the part for idle cash only."""
    for _ in trades:
        reduced = _reduce_each(sizing, trades)
        if reduced == trades:
            break
        trades = reduced
    return trades


def _reduce_each(sizing: OrderSizing, trades: Quantities) -> Quantities:
    """Reduce each trade, the smallest first, to the needed quantity.

    A trade is needed if the drift would be greater without the trade, if cash would not pay for the buys, or if the
    trade brings its leg inside the band. The last condition holds for a sell only if all legs end inside that orders
    may lead there: otherwise the sell would only replace one excess by another, usually of cash.
    """
    needed, all_inside = dict(trades), _ends_inside(sizing, trades)

    def by_size(symbol: str) -> tuple[bool, Decimal, str]:
        return trades[symbol] < 0, abs(trades[symbol]) * sizing.valuation.prices[symbol], symbol

    for symbol in sorted(trades, key=by_size):
        traded, is_buy, least = abs(trades[symbol]), trades[symbol] > 0, sizing.quantity_into_band(symbol)
        if least and not is_buy:
            least = max(least, sizing.min_order_quantity(symbol))
            if not all_inside and (least >= traded or not _ends_inside(sizing, {**needed, symbol: -least})):
                least = ZERO
        candidates = [] if least else [ZERO]
        if not is_buy:
            used = traded - sizing.idle_quantity(symbol, needed)
            candidates.append(max(least, sizing.min_order_quantity(symbol), used))
        for quantity in candidates:
            if quantity and (traded - quantity) * sizing.valuation.prices[symbol] < sizing.min_amount:
                continue
            rest = {**needed, symbol: quantity.copy_sign(trades[symbol])} if quantity else _without(symbol, needed)
            if sizing.can_afford(rest) and sizing.total_distance(rest) <= sizing.total_distance(needed):
                needed = rest
                break
    return needed


def _ends_inside(sizing: OrderSizing, trades: Quantities) -> bool:
    if not sizing.can_afford(trades):
        return False
    now = {leg.asset: leg for leg in sizing.legs}
    after = drift.legs_outside(drift.compare_weights(sizing.weights_after(trades), sizing.target), sizing.tolerance)
    return not any(leg.asset == CASH or sizing.is_tradable(now[leg.asset]) for leg in after)


def _without(symbol: str, trades: Quantities) -> Quantities:
    return {other: quantity for other, quantity in trades.items() if other != symbol}
