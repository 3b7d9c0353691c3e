"""Needless trades: trades that bring nothing closer to its target, and the part of sells for idle cash only."""

from decimal import ROUND_FLOOR, Decimal

from trimtab.kernel.money import ZERO
from trimtab.portfolios.balancing.order_sizing import OrderSizing, Quantities
from trimtab.portfolios.balancing.planned_trades import PlannedTrades, plan_trades
from trimtab.portfolios.portfolio.holdings import Side
from trimtab.portfolios.rebalancing import drift
from trimtab.portfolios.rebalancing.drift import CASH


def drop_needless(sizing: OrderSizing, quantities: Quantities) -> Quantities:
    """Return the needed trades, and sells without the part for idle cash only."""
    trades = plan_trades(sizing, quantities)
    for _ in quantities:
        reduced = _reduce_each(sizing, trades)
        if reduced.quantities == trades.quantities:
            break
        trades = reduced
    return trades.quantities


def _reduce_each(sizing: OrderSizing, trades: PlannedTrades) -> PlannedTrades:
    """Reduce each trade, the smallest first, to the needed quantity.

    A trade is needed if the drift would be greater without the trade, if cash would not pay for the buys, or if the
    trade brings its leg inside the band. The last condition holds for a sell only if all legs end inside that orders
    may lead there: otherwise the sell would only replace one excess by another, usually of cash.
    """
    needed, all_inside, prices = trades, _ends_inside(sizing, trades), sizing.valuation.prices

    def by_size(symbol: str) -> tuple[bool, Decimal, str]:
        quantity = trades.quantities[symbol]
        return quantity < 0, abs(quantity) * prices[symbol], symbol

    for symbol in sorted(trades.quantities, key=by_size):
        traded, is_buy = abs(trades.quantities[symbol]), trades.quantities[symbol] > 0
        least = sizing.quantity_into_band(symbol)
        if least and not is_buy:
            least = max(least, sizing.min_order_quantity(symbol))
            if not all_inside and (least >= traded or not _ends_inside(sizing, needed.replace(symbol, -least))):
                least = ZERO
        candidates = [] if least else [ZERO]
        if not is_buy:
            candidates.append(max(least, sizing.min_order_quantity(symbol), traded - _idle_quantity(symbol, needed)))
        for quantity in candidates:
            saved = (traded - quantity) * prices[symbol]
            if quantity and (saved < sizing.min_amount or not sizing.exceeds_commission(symbol, Side.SELL, quantity)):
                continue
            rest = needed.replace(symbol, quantity if is_buy else -quantity)
            # Commissions make the portfolio smaller: what brought a leg inside may not be enough with them.
            stays_inside = is_buy or not least or not all_inside or _ends_inside(sizing, rest)
            if needed.distance_saved(symbol, rest.quantity(symbol)) >= 0 and rest.is_affordable and stays_inside:
                needed = rest
                break
    return needed


def _idle_quantity(symbol: str, trades: PlannedTrades) -> Decimal:
    """Return the part of a sell beyond the cash target that pays for no buy at limit prices."""
    sizing = trades.sizing
    idle = (trades.cash - sizing.amount_of(sizing.target[CASH])) / sizing.valuation.prices[symbol]
    if any(quantity > 0 for quantity in trades.quantities.values()):
        idle = min(idle, sizing.round_money(trades.spendable, ROUND_FLOOR) / sizing.limit_price(symbol, Side.SELL))
    return max(ZERO, sizing.round_to_steps(idle))


def _ends_inside(sizing: OrderSizing, trades: PlannedTrades) -> bool:
    if not trades.is_affordable:
        return False
    now = {leg.asset: leg for leg in sizing.legs}
    weights = sizing.weights_after(trades.quantities)
    after = drift.legs_outside(drift.compare_weights(weights, sizing.target), sizing.tolerance)
    return not any(leg.asset == CASH or sizing.is_tradable(now[leg.asset]) for leg in after)
