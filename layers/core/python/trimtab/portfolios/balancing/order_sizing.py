"""Order sizing: the quantity and worst-case cost of each order, and the distance from target that remains.

Numbers are exact (the caller sets the decimal context `EXACT`) until they become quantities or amounts of money.
"""

from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal

from msgspec import Struct, field

from trimtab.kernel.currencies import round_money, smallest_amount
from trimtab.kernel.money import HUNDRED, PERCENT_PLACES, QUANTITY_PLACES, ZERO
from trimtab.portfolios.portfolio.holdings import Side
from trimtab.portfolios.portfolio.policy import Destination, Mode, Policy
from trimtab.portfolios.rebalancing.drift import CASH, Leg, Tolerance, Weights, compare_weights
from trimtab.portfolios.rebalancing.orders import NO_COMMISSION, Commission, PlannedOrder
from trimtab.portfolios.rebalancing.trade_limits import TradeLimits
from trimtab.portfolios.rebalancing.valuation import Valuation, value

Quantities = dict[str, Decimal]
"""Quantities to trade by symbol: bought above zero, sold below zero."""

ALLOWED_SIDES = {
    Mode.FULL: frozenset({Side.SELL, Side.BUY}),
    Mode.INVEST_CASH: frozenset({Side.BUY}),
    Mode.SELL_ONLY: frozenset({Side.SELL}),
}
"""Sides that each mode may trade."""

_SMALLEST_QUANTITY = Decimal(1).scaleb(-QUANTITY_PLACES)
_SMALLEST_PERCENT = Decimal(1).scaleb(-PERCENT_PLACES)


class WeightChange(Struct, frozen=True):
    """The change that leads an asset to the destination.

    `amount` is the value to move (money), `max_quantity` the same in tradable steps. `min_quantity` brings an
    underweight asset inside its band; zero where the asset is inside already.
    """

    symbol: str
    side: Side
    price: Decimal
    amount: Decimal
    max_quantity: Decimal
    min_quantity: Decimal = ZERO


class OrderSizing(Struct, frozen=True):
    """Arithmetic of order planning for a portfolio.

    `target`, `fixed` and `limit_margins` are those of `ReachableTargets`; `tolerance` are the tolerances around the
    targets of the policy.
    """

    valuation: Valuation
    target: Weights
    policy: Policy
    tolerance: Tolerance
    mode: Mode = Mode.FULL
    limits: TradeLimits = field(default_factory=dict)
    commission: Commission = NO_COMMISSION
    fixed: frozenset[str] = frozenset()
    limit_margins: Weights = field(default_factory=dict)

    @property
    def legs(self) -> tuple[Leg, ...]:
        """Present weights beside the reachable targets, cash included."""
        return compare_weights(self.valuation.weights, self.target)

    def find_refusal(self, symbol: str, side: Side) -> str | None:
        """Return the code of the reason why the symbol may not be traded on this side, None where orders may be."""
        if side not in ALLOWED_SIDES[self.mode]:
            return "mode"
        limit = self.limits.get(symbol)
        return limit.reason if limit is not None and limit.forbids(side) else None

    @property
    def step(self) -> Decimal:
        """Smallest tradable quantity."""
        return Decimal(1) if self.policy.whole_shares else _SMALLEST_QUANTITY

    @property
    def money_unit(self) -> Decimal:
        """Smallest amount of money of the currency, a cent for USD."""
        return smallest_amount(self.valuation.currency)

    def round_money(self, amount: Decimal, rounding: str = ROUND_HALF_UP) -> Decimal:
        """Return the amount in whole units of money, by default rounded half up."""
        return round_money(amount, self.valuation.currency, rounding)

    def commission_of(self, amount: Decimal) -> Decimal:
        """Return the commission of an order of this amount, in money."""
        return self.commission.of(amount, self.valuation.currency)

    @property
    def min_amount(self) -> Decimal:
        """Smallest amount of an order, in money."""
        return max(self.policy.minimum_trade, self.money_unit)

    def is_tradable(self, leg: Leg) -> bool:
        """Return whether an order may lead the leg towards its target, and the way to the target is long enough."""
        amount = abs(self.amount_of(leg.target) - self.valuation.values.get(leg.asset, ZERO))
        side = Side.SELL if leg.drift > 0 else Side.BUY
        return amount >= self.min_amount and self.find_refusal(leg.asset, side) is None

    def amount_of(self, weight: Decimal) -> Decimal:
        """Return the value of a weight in money, unrounded."""
        return weight * self.valuation.total / 100

    def round_to_steps(self, quantity: Decimal, rounding: str = ROUND_FLOOR) -> Decimal:
        """Return the quantity in whole steps, with 9 decimal places."""
        return ((quantity / self.step).to_integral_value(rounding) * self.step).quantize(_SMALLEST_QUANTITY)

    def limit_price(self, symbol: str, side: Side) -> Decimal:
        """Return the worst price at which an order may fill: the price and the slippage, rounded inwards, above 0."""
        price, slippage = self.valuation.prices[symbol], self.policy.max_slippage
        if side is Side.BUY:
            return (price * (HUNDRED + slippage) / 100).quantize(_SMALLEST_QUANTITY, ROUND_FLOOR)
        limit = (price * (HUNDRED - slippage) / 100).quantize(_SMALLEST_QUANTITY, ROUND_CEILING)
        return max(limit, _SMALLEST_QUANTITY)

    def change_for(self, leg: Leg) -> WeightChange:
        """Return the change in money and shares for a leg of the plan."""
        symbol, price = leg.asset, self.valuation.prices[leg.asset]
        destination, worth = leg.weight + leg.change, self.valuation.values.get(leg.asset, ZERO)
        amount = abs(self.amount_of(destination) - worth)
        most = self._quantity_for(leg, amount)
        if leg.change < 0:
            held = self.valuation.quantities[symbol]
            is_closed = not destination and not self.policy.whole_shares
            most = held if is_closed else min(most, self.round_to_steps(held))
            return WeightChange(symbol, Side.SELL, price, amount, most)
        edge = (leg.target - self.tolerance(leg)).quantize(_SMALLEST_PERCENT, ROUND_CEILING)
        if leg.weight >= edge:
            return WeightChange(symbol, Side.BUY, price, amount, most)
        # The first part of a buy must already have the size of an order.
        into_band = max(self.amount_of(edge) - worth, self.min_amount)
        least = min(most, self.round_to_steps(into_band / price, ROUND_CEILING))
        return WeightChange(symbol, Side.BUY, price, amount, most, least)

    def _quantity_for(self, leg: Leg, amount: Decimal) -> Decimal:
        """Return the amount in steps: rounded down, but at the edge of the band up, to leave nothing outside.

        A whole share more is taken only for a leg that is outside and does not pass its target by it.
        """
        exact = amount / self.valuation.prices[leg.asset]
        down, up = self.round_to_steps(exact), self.round_to_steps(exact, ROUND_CEILING)
        if self.policy.destination is Destination.TARGET:
            return down
        if not self.policy.whole_shares:
            return up
        to_target = self.distance_from_target(leg.asset, self.valuation.values.get(leg.asset, ZERO))
        passes = up * self.valuation.prices[leg.asset] > to_target
        return down if passes or abs(leg.drift) <= self.tolerance(leg) else up

    def min_order_quantity(self, symbol: str) -> Decimal:
        """Return the smallest quantity with the minimum amount of an order."""
        return self.round_to_steps(self.min_amount / self.valuation.prices[symbol], ROUND_CEILING)

    def quantity_into_band(self, symbol: str) -> Decimal:
        """Return the quantity to bring the asset inside the band, zero if inside already."""
        tolerance = self.amount_of(self.tolerance(Leg(symbol, ZERO, self.target.get(symbol, ZERO))))
        excess = self.distance_from_target(symbol, self.valuation.values.get(symbol, ZERO)) - tolerance
        return max(ZERO, self.round_to_steps(excess / self.valuation.prices[symbol], ROUND_CEILING))

    def is_large_enough(self, change: WeightChange, quantity: Decimal | None = None) -> bool:
        """Return whether this quantity (by default the whole change) reaches the minimum amount of an order.

        The amount must reach the minimum both before and after rounding to money, and exceed its commission.
        """
        traded = change.max_quantity if quantity is None else quantity
        amount = traded * change.price
        is_above_minimum = min(amount, self.round_money(amount)) >= self.min_amount
        return is_above_minimum and self.exceeds_commission(change.symbol, change.side, traded)

    def exceeds_commission(self, symbol: str, side: Side, quantity: Decimal) -> bool:
        """Return whether the amount of an order exceeds the commission; a sell has to bring it at the limit price too.

        Otherwise cash might have to pay a part of the commission of a sell.
        """
        amount = quantity * self.valuation.prices[symbol]
        if side is Side.SELL:
            worst = self.round_money(quantity * self.limit_price(symbol, side), ROUND_FLOOR)
            return worst >= self.commission_of(worst) and amount > self.commission_of(amount)
        return amount > self.commission_of(amount)

    def planned_order(self, symbol: str, quantity: Decimal) -> PlannedOrder:
        """Return the order for a signed quantity."""
        side = Side.BUY if quantity > 0 else Side.SELL
        price, limit_price = self.valuation.prices[symbol], self.limit_price(symbol, side)
        quantity = abs(quantity).quantize(_SMALLEST_QUANTITY)
        return PlannedOrder(symbol, side, quantity, price, limit_price, self.valuation.currency)

    def spendable_cash(self, trades: Quantities) -> Decimal:
        """Return the cash above the buffer if all trades fill at their limit prices, commissions paid.

        Each amount is rounded to whole units of money.
        """
        cash = self.valuation.cash - self.amount_of(self.policy.cash_buffer)
        return cash - sum((self.cost(symbol, quantity) for symbol, quantity in trades.items()), ZERO)

    def cost(self, symbol: str, quantity: Decimal) -> Decimal:
        """Return the cost of a trade at its limit price with its commission, in money; below zero for a sell."""
        if not quantity:
            return ZERO
        amount = quantity * self.limit_price(symbol, Side.BUY if quantity > 0 else Side.SELL)
        # The cost of a buy is rounded up, the proceeds of a sell down.
        return self.round_money(amount, ROUND_CEILING) + self.commission_of(abs(amount))

    @property
    def fee_reserve(self) -> Decimal:
        """Largest commission of an order beyond its exact percentage, in whole units of money."""
        # The percentage is rounded up to a unit of its own.
        rounding = self.money_unit if self.commission.percent else ZERO
        return self.round_money(self.commission.per_order, ROUND_CEILING) + rounding

    def unit_cost(self, symbol: str) -> Decimal:
        """Return the cost of one unit bought at the limit price, with the percentage of the commission, unrounded."""
        return self.limit_price(symbol, Side.BUY) * (HUNDRED + self.commission.percent) / HUNDRED

    def payable_quantity(self, symbol: str, money: Decimal) -> Decimal:
        """Return the quantity that the money buys at the limit price, commission and rounding included."""
        rounded = self.round_money(money - self.fee_reserve, ROUND_FLOOR)
        return max(ZERO, self.round_to_steps(rounded / self.unit_cost(symbol)))

    def fee(self, symbol: str, quantity: Decimal) -> Decimal:
        """Return the commission of a trade at the planning price, zero for no trade."""
        return self.commission_of(abs(quantity) * self.valuation.prices[symbol]) if quantity else ZERO

    def fees(self, trades: Quantities) -> Decimal:
        """Return the commissions if all trades fill at their planning prices."""
        return sum((self.fee(symbol, quantity) for symbol, quantity in trades.items()), ZERO)

    def cash_after(self, trades: Quantities) -> Decimal:
        """Return the cash if all trades fill at their planning prices, commissions paid, unrounded."""
        cost = (quantity * self.valuation.prices[symbol] for symbol, quantity in trades.items())
        return self.valuation.cash - sum(cost, ZERO) - self.fees(trades)

    def weights_after(self, trades: Quantities) -> Weights:
        """Return the weights if all trades fill at their planning prices."""
        held = self.valuation.quantities
        quantities = {symbol: held.get(symbol, ZERO) + trades.get(symbol, ZERO) for symbol in sorted({*held, *trades})}
        return value(quantities, self.valuation.prices, self.cash_after(trades), self.valuation.currency).weights

    def distance_from_target(self, symbol: str, worth: Decimal) -> Decimal:
        """Return the distance between the value of an asset and the target, in money."""
        return abs(worth - self.amount_of(self.target.get(symbol, ZERO)))

    def total_distance(self, trades: Quantities) -> Decimal:
        """Return the sum of all distances from target after the trades (twice the drift), in money and unrounded.

        Commissions count as distance: what they cost must not pass for cash that was put to use.
        """
        worth = dict(self.valuation.values)
        for symbol, quantity in trades.items():
            worth[symbol] = worth.get(symbol, ZERO) + quantity * self.valuation.prices[symbol]
        worth[CASH] = self.cash_after(trades)
        assets = {*worth, *self.target}
        return sum((self.distance_from_target(asset, worth.get(asset, ZERO)) for asset in assets), self.fees(trades))
