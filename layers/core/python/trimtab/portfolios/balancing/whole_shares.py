"""Whole shares: shares added to rounded trades where they lead the portfolio closer to the target."""

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


def add_whole_shares(
    planned: PlannedChanges, to_target: Iterable[WeightChange], sizing: OrderSizing, trades: Quantities
) -> Quantities:
    """Add whole shares to the trades, or trades of whole shares, that then lead the portfolio closer to the target.

    `to_target` are the changes that lead every asset that may be traded to its target.
    """
    sells = [change for change in to_target if change.side is Side.SELL]
    buys = [change for change in to_target if change.side is Side.BUY]
    wanted = [change for change in planned.changes if change.side is Side.BUY]
    best = dict(trades)

    def by_gain(change: WeightChange) -> tuple[Decimal, str]:
        return -_gain_of_leg(change, sizing, trades.get(change.symbol, ZERO)), change.symbol

    # Selling one more share may pay for further buys, so the buys are planned again for each candidate.
    for change in sorted(sells, key=by_gain):
        sold = {symbol: quantity for symbol, quantity in best.items() if quantity < 0}
        sold[change.symbol] = sold.get(change.symbol, ZERO) - 1
        if _gain_of_leg(change, sizing, best.get(change.symbol, ZERO)) > 0:
            alternative = sold | plan_buys(wanted, sizing, sold, planned.cash_weight)
            best = min(best, alternative, key=sizing.total_distance)
    book = plan_trades(sizing, best)
    for _ in buys:
        gains = [(*_best_purchase(change, book), change) for change in buys]
        gain, quantity, change = min(gains, key=lambda entry: (-entry[0], entry[2].symbol))
        if gain <= 0:
            break
        book = book.replace(change.symbol, quantity)
    return book.quantities


def _best_purchase(change: WeightChange, trades: PlannedTrades) -> tuple[Decimal, Decimal]:
    """Return the money by which further shares reduce the distance of asset and cash, and the quantity with them."""
    sizing, symbol, bought = trades.sizing, change.symbol, trades.quantity(change.symbol)
    missing = _missing_shares(change, trades)
    if missing <= 0:
        return ZERO, bought
    payable = sizing.payable_quantity(symbol, trades.spendable + sizing.cost(symbol, bought))
    quantity = min(payable, bought + missing)
    if quantity <= bought or not sizing.is_large_enough(change, quantity):
        return ZERO, bought
    return trades.distance_saved(symbol, quantity), quantity


def _missing_shares(change: WeightChange, trades: PlannedTrades) -> Decimal:
    """Return the number of further shares that lead closest to the target; at the edge, until asset and cash are in."""
    sizing = trades.sizing
    held = sizing.valuation.values.get(change.symbol, ZERO) + trades.quantity(change.symbol) * change.price
    lacking = sizing.amount_of(sizing.target.get(change.symbol, ZERO)) - held
    shares = (lacking / change.price).to_integral_value(ROUND_HALF_DOWN)
    if sizing.policy.destination is Destination.BAND_EDGE:
        idle = trades.cash - sizing.amount_of(sizing.target[CASH])
        beyond = max(lacking - _tolerated(sizing, change.symbol), idle - _tolerated(sizing, CASH))
        shares = min(shares, (beyond / change.price).to_integral_value(ROUND_CEILING))
    return shares


def _gain_of_leg(change: WeightChange, sizing: OrderSizing, traded: Decimal) -> Decimal:
    """Return the money by which one more share reduces the leg's distance from target; zero if none may be added.

    If the destination is the edge of the band, shares are added only to legs that are still outside their band.
    """
    symbol, more = change.symbol, traded + (1 if change.side is Side.BUY else -1)
    if sizing.valuation.quantities.get(symbol, ZERO) + more < 0 or not sizing.is_large_enough(change, abs(more)):
        return ZERO
    held = sizing.valuation.values.get(symbol, ZERO)
    distance = sizing.distance_from_target(symbol, held + traded * change.price)
    if sizing.policy.destination is Destination.BAND_EDGE and distance <= _tolerated(sizing, symbol):
        return ZERO
    return max(ZERO, distance - sizing.distance_from_target(symbol, held + more * change.price))


def _tolerated(sizing: OrderSizing, asset: str) -> Decimal:
    """Return the tolerance of an asset in money."""
    return sizing.amount_of(sizing.tolerance(Leg(asset, ZERO, ZERO)))
