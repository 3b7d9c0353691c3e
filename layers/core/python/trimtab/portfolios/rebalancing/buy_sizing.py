"""Sizes of buys during an execution: buys spend what the sells really brought, and top-ups invest what is left over.

Pure functions of the plan and the fills in the journal. Even at limit prices and with their commissions, buys leave the
cash buffer untouched. No buy exceeds its planned leg, whose unpaid rest is a skipped leg with the reason `no_cash`.
"""

from collections.abc import Mapping, Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from msgspec.structs import replace

from trimtab.kernel.currencies import round_money, smallest_amount
from trimtab.kernel.money import CONTEXT, HUNDRED, QUANTITY_PLACES, ZERO
from trimtab.portfolios.portfolio.holdings import Side
from trimtab.portfolios.rebalancing.journal import (
    FIRST_TOP_UP,
    MAX_TOP_UPS,
    NOT_PAID_FOR,
    Execution,
    Funds,
    client_order_id_of,
)
from trimtab.portfolios.rebalancing.orders import NO_CASH, Commission, Order, OrderStatus, PlannedOrder, SkippedLeg

_UNIT = Decimal(1).scaleb(-QUANTITY_PLACES)
Quantities = Mapping[str, Decimal]
"""Quantities by symbol."""


def cost_of(order: Order | PlannedOrder, commission: Commission, currency: str) -> Decimal:
    """Return the most that a buy can cost: the amount at its limit price, and the commission."""
    amount = round_money(_multiply(order.quantity, _worst_price(order)), currency, ROUND_CEILING)
    return amount + commission.of(amount, currency)


def fit_buys_to_cash(execution: Execution) -> Execution:
    """Return the journal with its planned buys cut or raised to the cash after the fills so far.

    A buy is raised by at most the unpaid rest of its leg. A buy that falls below the minimum trade is skipped, and
    leaves its cash to the others.
    """
    buys = [order for order in execution.orders if order.status is OrderStatus.PLANNED and order.side is Side.BUY]
    if not buys:
        return execution
    funds = execution.funds or _least_funds(execution)
    cost = sum((cost_of(order, execution.commission, execution.currency) for order in buys), ZERO)
    spendable = cash_after_fills(execution, funds) - funds.buffer
    planned = {order.symbol: order.quantity for order in buys}
    if cost > spendable:
        return _resize(execution, buys, _share_out(execution, buys, planned, spendable))
    rest = _unpaid_rests(execution)
    free = spendable - max(ZERO, funds.target - funds.buffer) - cost
    rest = _within_order_limit(execution, rest, {order.symbol: order for order in buys})
    more = _share_out(execution, buys, rest, min(free, _turnover_left(execution, free)), is_raise=True)
    return _resize(execution, buys, {symbol: planned[symbol] + more.get(symbol, ZERO) for symbol in planned})


def plan_top_up(execution: Execution, rebalance_id: str) -> Execution:
    """Return the journal with one more wave of buys for the cash that is left over, the same journal without such cash.

    A top-up buys the unpaid rest of legs that were bought already, at their limit prices. It must reach the minimum
    trade, and its commission must not exceed the price difference that its limit price accepts. At most `MAX_TOP_UPS`
    waves.
    """
    wave = max(FIRST_TOP_UP, execution.wave + 1)
    if execution.funds is None or wave >= FIRST_TOP_UP + MAX_TOP_UPS:
        return execution
    funds, rest = execution.funds, _unpaid_rests(execution)
    bought = {order.symbol: order for order in execution.orders if order.side is Side.BUY and not order.reverses}
    legs = [order for symbol, order in bought.items() if rest.get(symbol)]
    free = cash_after_fills(execution, funds) - max(funds.buffer, funds.target)
    rest = _within_order_limit(execution, rest, {order.symbol: replace(order, quantity=ZERO) for order in legs})
    sizes = _share_out(execution, legs, rest, min(free, _turnover_left(execution, free)))
    top_ups = [
        Order(
            client_order_id=client_order_id_of(rebalance_id, order.symbol, wave),
            symbol=order.symbol,
            side=Side.BUY,
            quantity=sizes[order.symbol],
            price=order.price,
            limit_price=order.limit_price,
            wave=wave,
        )
        for order in legs
        if order.symbol in sizes
    ]
    planned = replace(execution, orders=(*execution.orders, *top_ups))
    return _take_from_rests(planned, sizes)


def unpaid_reversals(
    execution: Execution, cash: Decimal, prices: Mapping[str, Decimal], max_percent: Decimal
) -> Quantities | None:
    """Return the quantities by symbol that the next reversals cannot buy back for this cash and their own sells.

    Empty where cash pays for everything at these prices (the planning price of a symbol without a price), commissions
    included. Otherwise the buys are cut in proportion, and the cash buffer is left for worse fills. Returns None where
    more than `max_percent` of the cost is missing.
    """
    upcoming = [order for order in execution.orders if order.wave == execution.next_wave and order.reverses]
    priced = [replace(order, price=prices.get(order.symbol, order.price)) for order in upcoming]
    cost, buys = ZERO, [order for order in priced if order.side is Side.BUY]
    for order in priced:
        amount = round_money(_multiply(order.quantity, order.price), execution.currency)
        fee = execution.commission.of(amount, execution.currency)
        if order.side is Side.BUY:
            cost += amount + fee
        else:
            cash += amount - fee
    if not buys or cost <= cash:
        return {}
    if cost - cash > CONTEXT.divide(_multiply(cost, max_percent), HUNDRED):
        return None
    buffer = execution.funds.buffer if execution.funds else ZERO
    fixed = execution.commission.per_order * len(buys)
    wanted = {order.symbol: order.quantity for order in buys}
    sizes = _share_out(execution, buys, wanted, cash - buffer - fixed, is_raise=True)
    return {symbol: quantity - sizes.get(symbol, ZERO) for symbol, quantity in wanted.items()}


def cash_after_fills(execution: Execution, funds: Funds) -> Decimal:
    """Return the cash of the plan after all fills so far, fees included; deposits since the plan are not counted."""
    return funds.cash + execution.cash_change


def _least_funds(execution: Execution) -> Funds:
    """Return the funds that just pay for the plan, for a journal of a release that did not store them."""
    cash = ZERO
    for order in execution.orders:
        if order.side is Side.BUY:
            cash += cost_of(order, execution.commission, execution.currency)
        elif order.wave == execution.wave:
            cash -= round_money(_multiply(order.quantity, _worst_price(order)), execution.currency, ROUND_FLOOR)
    return Funds(cash)


def _unpaid_rests(execution: Execution) -> Quantities:
    """Return the quantity by which each leg fell short of its planned end for lack of cash."""
    prices = {order.symbol: order.price for order in execution.orders}
    rests = {
        leg.symbol: CONTEXT.divide(leg.notional, prices[leg.symbol])
        for leg in execution.skipped
        if leg.side is Side.BUY and leg.reason == NO_CASH and leg.symbol in prices
    }
    return {symbol: _to_steps(execution, quantity) for symbol, quantity in rests.items()}


def _within_order_limit(execution: Execution, more: Quantities, orders: Mapping[str, Order]) -> Quantities:
    """Return the quantities to add to these orders, so that each stays within the largest notional of an order."""
    limit = execution.policy.max_order_notional
    if limit is None:
        return more
    most = {
        symbol: _to_steps(execution, max(ZERO, CONTEXT.divide(limit, _worst_price(order)) - order.quantity))
        for symbol, order in orders.items()
    }
    return {symbol: min(quantity, most[symbol]) for symbol, quantity in more.items() if symbol in most}


def _turnover_left(execution: Execution, otherwise: Decimal) -> Decimal:
    """Return the money that may still be traded today, `otherwise` without such a limit."""
    if execution.policy.max_turnover is None:
        return otherwise
    sent = (order for order in execution.orders if not order.reverses and order.status is not OrderStatus.SKIPPED)
    return execution.policy.max_turnover - sum((_multiply(order.quantity, order.price) for order in sent), ZERO)


def _share_out(
    execution: Execution, legs: Sequence[Order], wanted: Quantities, money: Decimal, *, is_raise: bool = False
) -> Quantities:
    """Return quantities to buy for this money, in proportion to the wanted ones; without those too small for an order.

    With `is_raise` existing orders are raised: each has its commission per order already, and any step is enough.
    """
    candidates = [order for order in legs if wanted.get(order.symbol)]
    for _ in legs:
        full = sum((_multiply(wanted[order.symbol], _worst_price(order)) for order in candidates), ZERO)
        cost = CONTEXT.divide(_multiply(full, HUNDRED + execution.commission.percent), HUNDRED)
        available = money - _fixed_cost(execution, is_raise=is_raise) * len(candidates)
        if available <= 0 or not cost:
            candidates = sorted(candidates, key=lambda order: wanted[order.symbol] * order.price)[1:]
            continue
        share = min(Decimal(1), CONTEXT.divide(available, cost))
        sizes = {order.symbol: _to_steps(execution, _multiply(wanted[order.symbol], share)) for order in candidates}
        small = [order for order in candidates if not _is_worthwhile(execution, order, sizes[order.symbol], is_raise)]
        if not small:
            return sizes
        candidates.remove(min(small, key=lambda order: (wanted[order.symbol] * order.price, order.symbol)))
    return {}


def _fixed_cost(execution: Execution, *, is_raise: bool) -> Decimal:
    """Return the commission of an order that does not grow with its amount, and what rounding to money may add."""
    commission, unit = execution.commission, smallest_amount(execution.currency)
    rounding = 2 * unit if commission.percent else unit
    return rounding if is_raise else rounding + round_money(commission.per_order, execution.currency, ROUND_CEILING)


def _is_worthwhile(execution: Execution, order: Order, quantity: Decimal, is_raise: bool) -> bool:
    if is_raise or not quantity:
        return bool(quantity)
    amount, currency = _multiply(quantity, order.price), execution.currency
    if round_money(amount, currency) < execution.policy.minimum_trade:
        return False
    is_planned = order.status is OrderStatus.PLANNED
    accepted = _multiply(quantity, _worst_price(order) - order.price)
    return is_planned or execution.commission.of(amount, currency) <= accepted


def _resize(execution: Execution, buys: Sequence[Order], sizes: Quantities) -> Execution:
    """Return the journal with the buys in these sizes, and what they were cut or raised by in the skipped legs."""
    changes = {order.symbol: sizes.get(order.symbol, ZERO) - order.quantity for order in buys}

    def resized(order: Order) -> Order:
        if sizes.get(order.symbol):
            return replace(order, quantity=sizes[order.symbol])
        return replace(order, status=OrderStatus.SKIPPED, is_posted=True, reason=NOT_PAID_FOR)

    return _take_from_rests(execution.update_orders(resized, buys), changes)


def _take_from_rests(execution: Execution, bought: Quantities) -> Execution:
    """Return the journal with the unpaid rests of the legs reduced by these quantities; negative ones increase them."""
    prices = {order.symbol: order.price for order in execution.orders}
    change = {
        symbol: round_money(_multiply(quantity, prices[symbol]), execution.currency)
        for symbol, quantity in bought.items()
        if quantity
    }
    rests = {leg.symbol: leg for leg in execution.skipped if leg.side is Side.BUY and leg.reason == NO_CASH}
    others = [leg for leg in execution.skipped if leg.symbol not in change or leg is not rests.get(leg.symbol)]
    changed = [
        SkippedLeg(symbol, Side.BUY, notional, NO_CASH)
        for symbol, amount in change.items()
        if (notional := (rests[symbol].notional if symbol in rests else ZERO) - amount) > 0
    ]
    return replace(execution, skipped=(*others, *changed))


def _to_steps(execution: Execution, quantity: Decimal) -> Decimal:
    """Return the quantity rounded down to whole shares or 9 decimals."""
    return quantity.quantize(Decimal(1) if execution.policy.whole_shares else _UNIT, rounding=ROUND_FLOOR)


def _worst_price(order: Order | PlannedOrder) -> Decimal:
    return order.price if order.limit_price is None else order.limit_price


def _multiply(quantity: Decimal, price: Decimal) -> Decimal:
    return CONTEXT.multiply(quantity, price)
