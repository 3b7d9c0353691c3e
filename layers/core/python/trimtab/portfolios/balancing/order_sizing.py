"""What the order planner works at: what a move takes, what orders cost at most, and how far from target all is then.

Every number is exact (the caller sets the context `EXACT`) until it becomes a quantity or an amount.
"""

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from msgspec import Struct

from trimtab.kernel.money import HUNDRED, MONEY_PLACES, PERCENT_PLACES, QUANTITY_PLACES, ZERO, to_money
from trimtab.portfolios.portfolio.holdings import Side
from trimtab.portfolios.portfolio.policy import Policy
from trimtab.portfolios.rebalancing.drift import CASH, Leg, Tolerance, Weights
from trimtab.portfolios.rebalancing.orders import PlannedOrder
from trimtab.portfolios.rebalancing.valuation import Valuation, value

Trades = dict[str, Decimal]
"""Quantities by symbol: bought above zero, sold below it."""

CENT = Decimal(1).scaleb(-MONEY_PLACES)
_GRAIN = Decimal(1).scaleb(-QUANTITY_PLACES)
_UNIT = Decimal(1).scaleb(-PERCENT_PLACES)


class Move(Struct, frozen=True):
    """A leg that has to change: by `need` (money) or, in tradable steps, by at most `most` to reach its end.

    `least` is the quantity that brings an underweight inside its band, zero where it is inside already.
    """

    symbol: str
    side: Side
    price: Decimal
    need: Decimal
    most: Decimal
    least: Decimal = ZERO


class Desk(Struct, frozen=True):
    """What every step of planning looks at: the portfolio at its prices, its target, its policy and its bands."""

    valuation: Valuation
    target: Weights
    policy: Policy
    tolerance: Tolerance

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

    def move(self, leg: Leg) -> Move:
        """The move that this leg stands for."""
        symbol, price = leg.asset, self.valuation.prices[leg.asset]
        end, worth = leg.drifted + leg.change, self.valuation.values.get(leg.asset, ZERO)
        need = abs(self.money(end) - worth)
        most = self.steps(need / price)
        if leg.change < 0:
            held = self.valuation.quantities[symbol]
            is_closed = not end and not self.policy.whole_shares
            return Move(symbol, Side.SELL, price, need, held if is_closed else min(most, held))
        edge = (leg.target - self.tolerance(leg)).quantize(_UNIT, ROUND_CEILING)
        if leg.drifted >= edge:
            return Move(symbol, Side.BUY, price, need, most)
        # What is started has to be worth an order.
        wanted = max(self.money(edge) - worth, self.least_amount)
        return Move(symbol, Side.BUY, price, need, most, min(most, self.steps(wanted / price, ROUND_CEILING)))

    @property
    def least_amount(self) -> Decimal:
        """The least that an order is worth, in money."""
        return max(self.policy.minimum_trade, CENT)

    def least_order(self, symbol: str) -> Decimal:
        """The smallest quantity that is an order."""
        return self.steps(self.least_amount / self.valuation.prices[symbol], ROUND_CEILING)

    def to_be_inside(self, symbol: str) -> Decimal:
        """The quantity that brings the leg inside its band, zero where it is inside."""
        tolerance = self.money(self.tolerance(Leg(symbol, ZERO, self.target.get(symbol, ZERO))))
        excess = self.distance(symbol, self.valuation.values.get(symbol, ZERO)) - tolerance
        return max(ZERO, self.steps(excess / self.valuation.prices[symbol], ROUND_CEILING))

    def idle(self, symbol: str, trades: Trades) -> Decimal:
        """How much of a sell only raises cash above its target, and pays for no buy even at the limit prices."""
        idle = (self.cash_after(trades) - self.money(self.target[CASH])) / self.valuation.prices[symbol]
        if any(quantity > 0 for quantity in trades.values()):
            idle = min(idle, self.spendable(trades).quantize(CENT, ROUND_FLOOR) / self.limit(symbol, Side.SELL))
        return max(ZERO, self.steps(idle))

    def is_paid_for(self, trades: Trades) -> bool:
        """Whether the buys, if there are any, leave the cash buffer untouched."""
        return not any(quantity > 0 for quantity in trades.values()) or self.spendable(trades) >= 0

    def is_worthwhile(self, move: Move, quantity: Decimal | None = None) -> bool:
        """Whether this much of the move, or all of it, is an order: at least the minimum trade, before and after it
        is rounded to money."""
        amount = (move.most if quantity is None else quantity) * move.price
        return min(amount, to_money(amount)) >= self.least_amount

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
            left += (-quantity * limit).quantize(CENT, ROUND_FLOOR)
        return left

    def cash_after(self, trades: Trades) -> Decimal:
        """The cash if all of these fill at their planning prices, unrounded."""
        return self.valuation.cash - sum(
            (each * self.valuation.prices[symbol] for symbol, each in trades.items()), ZERO
        )

    def weights_after(self, trades: Trades) -> Weights:
        """The weights if all of these fill at their planning prices."""
        held = self.valuation.quantities
        quantities = {symbol: held.get(symbol, ZERO) + trades.get(symbol, ZERO) for symbol in sorted({*held, *trades})}
        return value(quantities, self.valuation.prices, self.cash_after(trades)).weights

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
