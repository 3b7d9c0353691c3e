"""Planned trades with running sums: what changing one trade does to the cash and to the distance from target."""

from decimal import Decimal

from msgspec import Struct

from trimtab.kernel.money import ZERO
from trimtab.portfolios.balancing.order_sizing import OrderSizing, Quantities
from trimtab.portfolios.rebalancing.drift import CASH


class PlannedTrades(Struct, frozen=True):
    """Trades and the money that they leave, commissions paid.

    `cash` is the cash if all trades fill at their planning prices, `spendable` the cash above the buffer if all fill at
    their limit prices.
    """

    sizing: OrderSizing
    quantities: Quantities
    cash: Decimal
    spendable: Decimal

    @property
    def is_affordable(self) -> bool:
        """True where the trades leave the cash buffer untouched, and where nothing is bought."""
        return self.spendable >= 0 or not any(quantity > 0 for quantity in self.quantities.values())

    def quantity(self, symbol: str) -> Decimal:
        """Return the traded quantity, sold below zero."""
        return self.quantities.get(symbol, ZERO)

    def replace(self, symbol: str, quantity: Decimal) -> "PlannedTrades":
        """Return the trades with another quantity of a symbol, zero for no trade."""
        rest = {other: traded for other, traded in self.quantities.items() if other != symbol}
        return PlannedTrades(
            self.sizing,
            rest | {symbol: quantity} if quantity else rest,
            self._cash_with(symbol, quantity),
            self.spendable + self.sizing.cost(symbol, self.quantity(symbol)) - self.sizing.cost(symbol, quantity),
        )

    def distance_saved(self, symbol: str, quantity: Decimal) -> Decimal:
        """Return the money by which another quantity of the symbol reduces the sum of all distances from target."""
        sizing, before = self.sizing, self.quantity(symbol)
        worth, price = sizing.valuation.values.get(symbol, ZERO), sizing.valuation.prices[symbol]

        def distance(traded: Decimal, cash: Decimal) -> Decimal:
            of_asset = sizing.distance_from_target(symbol, worth + traded * price)
            return of_asset + sizing.distance_from_target(CASH, cash) + sizing.fee(symbol, traded)

        return distance(before, self.cash) - distance(quantity, self._cash_with(symbol, quantity))

    def _cash_with(self, symbol: str, quantity: Decimal) -> Decimal:
        price, before = self.sizing.valuation.prices[symbol], self.quantity(symbol)
        return (
            self.cash
            + (before - quantity) * price
            + self.sizing.fee(symbol, before)
            - self.sizing.fee(symbol, quantity)
        )


def plan_trades(sizing: OrderSizing, quantities: Quantities) -> PlannedTrades:
    """Return the trades of these quantities."""
    return PlannedTrades(sizing, quantities, sizing.cash_after(quantities), sizing.spendable_cash(quantities))
