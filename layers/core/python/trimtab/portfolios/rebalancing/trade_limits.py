"""Trade limits: the symbols of a portfolio that may not be bought or sold now, with the reason of each."""

from collections.abc import Mapping

from msgspec import Struct

from trimtab.portfolios.portfolio.holdings import Side
from trimtab.portfolios.portfolio.policy import Restriction


class TradeLimit(Struct, frozen=True):
    """The sides of a symbol that may not be traded now; `reason` is a code for programs, such as `price_held`."""

    restriction: Restriction
    reason: str

    def forbids(self, side: Side) -> bool:
        """Return True if the limit forbids orders of this side.

        >>> TradeLimit(Restriction.NO_BUY, "inactive").forbids(Side.BUY)
        True
        >>> TradeLimit(Restriction.NO_BUY, "inactive").forbids(Side.SELL)
        False
        """
        match self.restriction:
            case Restriction.FROZEN:
                return True
            case Restriction.NO_BUY:
                return side is Side.BUY
            case Restriction.NO_SELL:
                return side is Side.SELL


TradeLimits = Mapping[str, TradeLimit]
"""The limit of each limited symbol."""
