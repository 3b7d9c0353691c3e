"""Further trades: shares, or parts of shares, added to planned trades where they lead closer to the target.

Whole shares leave a rest of cash when they are rounded, and at the edges of the bands the reserve of the buys may leave
cash or an asset outside.
"""

from collections.abc import Iterable
from decimal import ROUND_CEILING, ROUND_HALF_DOWN, Decimal

from trimtab.kernel.money import ZERO
from trimtab.portfolios.balancing.buys import plan_buys
from trimtab.portfolios.balancing.order_sizing import OrderSizing, Quantities, WeightChange
from trimtab.portfolios.balancing.planned_changes import PlannedChanges
from trimtab.portfolios.balancing.planned_trades import PlannedTrades, plan_trades
from trimtab.portfolios.portfolio.holdings import Side
from trimtab.portfolios.portfolio.policy import Destination
from trimtab.portfolios.rebalancing.drift import CASH, Leg


def add_further_trades(
    planned: PlannedChanges, to_target: Iterable[WeightChange], sizing: OrderSizing, quantities: Quantities
) -> Quantities:
    """Add to the trades, the largest gain first, what leads the portfolio closer to the target.

    `to_target` are the changes that lead every asset that may be traded to its target. At the edge of the band, only
    legs outside their band are changed further, and any that bring cash inside.
    """
    changes = tuple(to_target)
    if sizing.policy.whole_shares:
        quantities = _sell_for_further_buys(planned, changes, sizing, quantities)
    trades = plan_trades(sizing, quantities)
    for _ in changes:
        gains = [(*_best_quantity(change, trades), change.symbol) for change in changes]
        gain, quantity, symbol = min(gains, key=lambda entry: (-entry[0], entry[2]))
        if gain <= 0:
            break
        trades = trades.replace(symbol, quantity)
    return trades.quantities


def _best_quantity(change: WeightChange, trades: PlannedTrades) -> tuple[Decimal, Decimal]:
    """Return the money by which a larger trade reduces the distance of asset and cash, and the quantity to trade."""
    sizing, traded = trades.sizing, trades.quantity(change.symbol)
    more = _missing_quantity(change, trades)
    if more <= 0:
        return ZERO, traded
    if change.side is Side.BUY:
        money = trades.spendable + sizing.cost(change.symbol, traded)
        quantity = min(traded + more, sizing.payable_quantity(change.symbol, money))
    else:
        held = sizing.round_to_steps(sizing.valuation.quantities[change.symbol])
        quantity = -min(more - traded, held)
    if abs(quantity) <= abs(traded) or not sizing.is_large_enough(change, abs(quantity)):
        return ZERO, traded
    return trades.distance_saved(change.symbol, quantity), quantity


def _missing_quantity(change: WeightChange, trades: PlannedTrades) -> Decimal:
    """Return the quantity that leads closest to the target; at the edge, until both asset and cash are inside."""
    sizing, sign = trades.sizing, 1 if change.side is Side.BUY else -1
    held = sizing.valuation.values.get(change.symbol, ZERO) + trades.quantity(change.symbol) * change.price
    missing = sign * (sizing.amount_of(sizing.target.get(change.symbol, ZERO)) - held)
    idle = sign * (trades.cash - sizing.amount_of(sizing.target[CASH]))
    quantity = sizing.round_to_steps(missing / change.price, ROUND_HALF_DOWN)
    if change.side is Side.SELL:
        # The last share may raise more cash than is missing: its gain decides.
        quantity = min(quantity, sizing.round_to_steps(idle / change.price, ROUND_CEILING))
        missing = min(missing, idle)
    if sizing.policy.destination is Destination.BAND_EDGE:
        beyond = max(missing - _tolerated(sizing, change.symbol), idle - _tolerated(sizing, CASH))
        quantity = min(quantity, sizing.round_to_steps(beyond / change.price, ROUND_CEILING))
    return quantity


def _sell_for_further_buys(
    planned: PlannedChanges, changes: Iterable[WeightChange], sizing: OrderSizing, quantities: Quantities
) -> Quantities:
    """Sell a whole share more where the buys that the proceeds pay for lead closer to the target."""
    wanted = [change for change in planned.changes if change.side is Side.BUY]
    best = dict(quantities)

    def by_gain(change: WeightChange) -> tuple[Decimal, str]:
        return -_gain_of_share(change, sizing, quantities.get(change.symbol, ZERO)), change.symbol

    for change in sorted((change for change in changes if change.side is Side.SELL), key=by_gain):
        if _gain_of_share(change, sizing, best.get(change.symbol, ZERO)) > 0:
            sold = {symbol: quantity for symbol, quantity in best.items() if quantity < 0}
            sold[change.symbol] = sold.get(change.symbol, ZERO) - 1
            alternative = sold | plan_buys(wanted, sizing, sold, planned.cash_weight)
            best = min(best, alternative, key=sizing.total_distance)
    return best


def _gain_of_share(change: WeightChange, sizing: OrderSizing, traded: Decimal) -> Decimal:
    """Return the money by which one more share sold reduces the leg's distance from target; zero if none may be sold.

    If the destination is the edge of the band, shares are sold only of legs that are still outside their band.
    """
    symbol, more = change.symbol, traded - 1
    if sizing.valuation.quantities[symbol] + more < 0 or not sizing.is_large_enough(change, abs(more)):
        return ZERO
    held = sizing.valuation.values[symbol]
    distance = sizing.distance_from_target(symbol, held + traded * change.price)
    if sizing.policy.destination is Destination.BAND_EDGE and distance <= _tolerated(sizing, symbol):
        return ZERO
    return max(ZERO, distance - sizing.distance_from_target(symbol, held + more * change.price))


def _tolerated(sizing: OrderSizing, asset: str) -> Decimal:
    """Return the tolerance of an asset in money."""
    return sizing.amount_of(sizing.tolerance(Leg(asset, ZERO, ZERO)))
