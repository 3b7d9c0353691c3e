"""Buys: the quantities that cash and the proceeds of the sells pay for."""

from collections.abc import Mapping
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from trimtab.kernel.currencies import minor_units
from trimtab.kernel.money import ZERO, apportion
from trimtab.portfolios.balancing.order_sizing import OrderSizing, Quantities, WeightChange
from trimtab.portfolios.portfolio.policy import Mode

Amounts = Mapping[str, Decimal]
"""Amounts of money by symbol."""


def plan_buys(buys: list[WeightChange], sizing: OrderSizing, sells: Quantities, cash_weight: Decimal) -> Quantities:
    """Return the quantities to buy; `cash_weight` is the weight of cash (percent) that they leave.

    The reserve for slippage, buffer and commissions is taken from all buys in proportion, but not from the part that
    brings an asset inside its band while others have enough. A rebalance that only invests cash often has less cash
    than the assets lack: then the largest amounts come first, to make few orders. A buy that is too small for an order
    leaves its cash to the others: first those inside their bands, the smallest first.
    """
    for _ in buys:
        bought = _divide_cash(buys, sizing, sells, cash_weight)
        small = [change for change in buys if not sizing.is_large_enough(change, bought.get(change.symbol, ZERO))]
        if not small:
            return bought
        small.sort(key=lambda change: (bool(change.min_quantity), change.amount, change.symbol))
        # Whole shares are added afterwards where cash is left, so that many may be dropped at once.
        dropped = small[: len(small) // 2 + 1] if sizing.policy.whole_shares else small[:1]
        buys = [change for change in buys if change not in dropped]
    return {}


def _divide_cash(buys: list[WeightChange], sizing: OrderSizing, sells: Quantities, cash_weight: Decimal) -> Quantities:
    cash = sizing.cash_after(sells) - sizing.amount_of(cash_weight)
    if sizing.mode is Mode.INVEST_CASH:
        wanted = _fill_largest_first(buys, sizing, cash)
    else:
        wanted = _fill_in_proportion(buys, sizing, cash)
    least = {change.symbol: min(change.min_quantity, wanted[change.symbol]) for change in buys}
    return _take_reserve(wanted, least, sizing, sizing.spendable_cash(sells))


def _fill_largest_first(buys: list[WeightChange], sizing: OrderSizing, cash: Decimal) -> Quantities:
    """Return the quantities at planning prices by need: first to the edge of the band, then the largest amounts."""
    bought = {change.symbol: ZERO for change in buys}

    def buy(change: WeightChange, wanted: Decimal) -> None:
        nonlocal cash
        quantity = max(ZERO, min(wanted, sizing.round_to_steps(cash / change.price)))
        bought[change.symbol] += quantity
        cash -= quantity * change.price

    for change in sorted(buys, key=lambda change: (-change.min_quantity * change.price, change.symbol)):
        buy(change, change.min_quantity)
    # Existing orders are increased before new ones are started: the same distance with fewer orders.
    for change in sorted(buys, key=lambda change: (not bought[change.symbol], -change.amount, change.symbol)):
        buy(change, change.max_quantity - bought[change.symbol])
    return bought


def _fill_in_proportion(buys: list[WeightChange], sizing: OrderSizing, cash: Decimal) -> Quantities:
    """Return the wanted quantities, or the part of each that the cash pays for at planning prices."""
    costs = {change.symbol: change.max_quantity * change.price for change in buys}
    cash -= sum((sizing.commission_of(cost) for cost in costs.values()), ZERO)
    if sum(costs.values(), ZERO) <= cash:
        return {change.symbol: change.max_quantity for change in buys}
    parts = _share(max(ZERO, cash), costs, {change.symbol: change.min_quantity * change.price for change in buys})
    return {change.symbol: sizing.round_to_steps(parts[change.symbol] / change.price) for change in buys}


def _take_reserve(wanted: Quantities, least: Quantities, sizing: OrderSizing, cash: Decimal) -> Quantities:
    """Return the wanted quantities, or the part of each that the cash pays for at limit prices, rounded to money."""
    prices = {symbol: sizing.unit_cost(symbol) for symbol, quantity in wanted.items() if quantity}
    costs = {symbol: wanted[symbol] * price for symbol, price in prices.items()}
    floors = {symbol: sizing.round_money(least[symbol] * price, ROUND_CEILING) for symbol, price in prices.items()}
    cash = sizing.round_money(cash - sizing.fee_reserve * len(prices), ROUND_FLOOR)
    if sum((sizing.round_money(cost, ROUND_CEILING) for cost in costs.values()), ZERO) <= cash:
        return {symbol: wanted[symbol] for symbol in costs}
    if cash <= 0:
        return {}
    parts = apportion(cash, _share(cash, costs, floors), minor_units(sizing.valuation.currency))
    paid = {symbol: sizing.payable_quantity(symbol, part + sizing.fee_reserve) for symbol, part in parts.items()}
    return {symbol: min(wanted[symbol], quantity) for symbol, quantity in paid.items() if quantity}


def _share(cash: Decimal, costs: Amounts, floors: Amounts) -> Amounts:
    """Divide the cash in proportion to the costs, with no part below its floor where the cash pays for all floors."""
    if sum(floors.values(), ZERO) > cash:
        floors = {}
    fixed: dict[str, Decimal] = {}
    while True:
        rest = {symbol: cost for symbol, cost in costs.items() if symbol not in fixed}
        whole = sum(rest.values(), ZERO)
        share = (cash - sum(fixed.values(), ZERO)) / whole if whole else ZERO
        low = {symbol: floors[symbol] for symbol, cost in rest.items() if cost * share < floors.get(symbol, ZERO)}
        if not low:
            return fixed | {symbol: cost * share for symbol, cost in rest.items()}
        fixed |= low
