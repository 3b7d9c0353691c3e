"""Trade limits: the symbols of a portfolio that may not be bought or sold now, with the reason of each."""

from collections.abc import Mapping

from msgspec import Struct

from trimtab.portfolios.portfolio.holdings import Side
from trimtab.portfolios.portfolio.policy import Policy, Restriction


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

NO_LIMITS: TradeLimits = {}


def policy_limits(policy: Policy) -> TradeLimits:
    """Return the limits that a policy sets for its symbols, with the reason `restricted`."""
    return {symbol: TradeLimit(restriction, "restricted") for symbol, restriction in policy.restrictions.items()}


def merge_limits(*limits: TradeLimits) -> dict[str, TradeLimit]:
    """Return the limits of all mappings. Where two limit a symbol, both hold; the first stricter one gives the reason.

    >>> no_buy, no_sell = TradeLimit(Restriction.NO_BUY, "inactive"), TradeLimit(Restriction.NO_SELL, "restricted")
    >>> merge_limits({"A": no_buy}, {"A": no_sell})
    {'A': TradeLimit(restriction=<Restriction.FROZEN: 'frozen'>, reason='restricted')}
    """
    merged: dict[str, TradeLimit] = {}
    for symbol, limit in ((symbol, limit) for each in limits for symbol, limit in each.items()):
        known = merged.get(symbol, limit)
        if known.restriction in {limit.restriction, Restriction.FROZEN}:
            merged[symbol] = known
        else:
            merged[symbol] = TradeLimit(Restriction.FROZEN, limit.reason)
    return merged
