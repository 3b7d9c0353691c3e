"""A reference rebalancer: the default policy, implemented independently in exact fractions.

The class shares no code with the planner, the watches or the execution, which the tests compare with it.
"""

from collections.abc import Iterable, Mapping
from fractions import Fraction
from math import ceil, floor

GRAIN, CENT, PERCENT_GRAIN = Fraction(1, 10**9), Fraction(1, 100), Fraction(1, 10**4)
MINIMUM = Fraction(1)
BUFFER, SLIPPAGE = Fraction(1, 400), Fraction(1, 100)
MAX_TOP_UPS = 3
Numbers = dict[str, Fraction]


def down(number: Fraction, unit: Fraction) -> Fraction:
    """Round down to whole units."""
    return floor(number / unit) * unit


def up(number: Fraction, unit: Fraction) -> Fraction:
    """Round up to whole units."""
    return ceil(number / unit) * unit


def money(number: Fraction) -> Fraction:
    """Round half up to cents."""
    return floor(number / CENT + Fraction(1, 2)) * CENT


def whole_parts(total: Fraction, shares: Numbers, unit: Fraction) -> Numbers:
    """Divide the total in proportion to the shares, in units: rounded down, the largest remainders one unit more."""
    exact = {name: total * share / sum(shares.values()) for name, share in shares.items()}
    parts = {name: down(each, unit) for name, each in exact.items()}
    left = int((total - sum(parts.values())) / unit)
    for name in sorted(parts, key=lambda name: (parts[name] - exact[name], name))[:left]:
        parts[name] += unit
    return parts


def shared(total: Fraction, costs: Numbers, floors: Numbers) -> Numbers:
    """Divide the total in proportion to the costs, no part below its floor where the total pays for all floors."""
    raised: Numbers = {}
    low = dict(floors) if sum(floors.values()) <= total else {}
    while True:
        rest = {name: cost for name, cost in costs.items() if name not in raised}
        ratio = (total - sum(raised.values())) / sum(rest.values()) if rest else Fraction(0)
        short = {name: low[name] for name, cost in rest.items() if cost * ratio < low.get(name, 0)}
        if not short:
            return raised | {name: cost * ratio for name, cost in rest.items()}
        raised |= short


def is_order(quantity: Fraction, price: Fraction) -> bool:
    """Return whether the amount is at least 1.00, before and after rounding to cents."""
    return min(quantity * price, money(quantity * price)) >= MINIMUM


class ReferenceRebalancer:
    """A portfolio that is weighed every day, and traded to its target if a weight is outside its band (points).

    Assets above their target are sold down to the target. Buys share what cash above the buffer pays for if every order
    fills at its worst price, in proportion to what they lack; the part that brings an asset into its band comes first.
    Buys after sells are raised, and top-ups follow, as far as the proceeds pay for more. An order is at least 1.00, and
    cash has no target. The portfolio is worth a thousand minimum trades or more: in smaller ones the planner leaves out
    sells that would only replace one excess by an excess of cash.
    """

    def __init__(self, target: Mapping[str, Fraction], band: Fraction, held: Numbers, cash: Fraction) -> None:
        self.target, self.band, self.held, self.cash = dict(target), band, dict(held), cash
        self.rebalances = 0

    def live(self, prices: Numbers) -> None:
        """Process one day at these prices; all orders fill at them."""
        missing, sold, bought = self.plan(prices)
        buffer = BUFFER * (self.cash + sum(held * prices[name] for name, held in self.held.items()))
        self.rebalances += bool(sold or bought)
        self._execute(missing, prices, sold, bought, down(buffer, CENT))

    def plan(self, prices: Numbers) -> tuple[Numbers, Numbers, Numbers]:
        """Return what the assets lack (money), and the quantities to sell and to buy; all empty inside the band."""
        worth = {name: held * prices[name] for name, held in self.held.items()}
        total = sum(worth.values()) + self.cash
        weights = whole_parts(Fraction(100), worth | {"$cash": self.cash}, PERCENT_GRAIN)
        is_in = all(abs(weights[name] - self.target[name]) <= self.band for name in worth)
        if is_in and weights["$cash"] <= max(self.band, 100 * BUFFER + 1):
            return {}, {}, {}
        lacks = {name: self.target[name] * total / 100 - worth[name] for name in worth}
        lacks = {name: lack for name, lack in lacks.items() if abs(lack) >= MINIMUM}
        sold = {name: -lack for name, lack in lacks.items() if weights[name] > self.target[name]}
        sold = {name: min(down(each / prices[name], GRAIN), self.held[name]) for name, each in sold.items()}
        sold = {name: each for name, each in sold.items() if is_order(each, prices[name])}
        missing = {name: lack for name, lack in lacks.items() if weights[name] <= self.target[name] and lack > 0}
        edges = {
            name: max((self.target[name] - self.band) * total / 100 - worth[name], MINIMUM)
            for name in missing
            if weights[name] < self.target[name] - self.band
        }
        return missing, sold, self._planned_buys(missing, edges, prices, sold, BUFFER * total)

    def _planned_buys(
        self, missing: Numbers, edges: Numbers, prices: Numbers, sold: Numbers, buffer: Fraction
    ) -> Numbers:
        most = {name: down(lack / prices[name], GRAIN) for name, lack in missing.items()}
        most = {name: each for name, each in most.items() if is_order(each, prices[name])}
        least = {name: min(most[name], up(edge / prices[name], GRAIN)) for name, edge in edges.items() if name in most}
        there = self.cash + sum(each * prices[name] for name, each in sold.items())
        sure = self.cash - buffer
        sure += sum(down(each * up(prices[name] * (1 - SLIPPAGE), GRAIN), CENT) for name, each in sold.items())
        while most:
            bought = self._affordable(most, least, prices, there, sure)
            small = [name for name in most if not is_order(bought.get(name, Fraction(0)), prices[name])]
            if not small:
                return bought
            del most[min(small, key=lambda name: (name in edges, missing[name], name))]
        return {}

    @staticmethod
    def _affordable(most: Numbers, least: Numbers, prices: Numbers, there: Fraction, sure: Fraction) -> Numbers:
        """Return the quantities that cash pays for, at the prices of the day and then at the worst prices."""
        wanted, costs = dict(most), {name: each * prices[name] for name, each in most.items()}
        if sum(costs.values()) > there:
            parts = shared(there, costs, {name: each * prices[name] for name, each in least.items() if name in most})
            wanted = {name: down(part / prices[name], GRAIN) for name, part in parts.items()}
        worst = {name: worst_price(prices[name]) for name, each in wanted.items() if each}
        costs = {name: wanted[name] * price for name, price in worst.items()}
        floors = {
            name: up(min(least[name], wanted[name]) * price, CENT) for name, price in worst.items() if name in least
        }
        sure = down(sure, CENT)
        if sum(up(cost, CENT) for cost in costs.values()) <= sure or sure <= 0:
            return wanted if sure > 0 else {}
        parts = whole_parts(sure, shared(sure, costs, floors), CENT)
        return {name: min(wanted[name], down(part / worst[name], GRAIN)) for name, part in parts.items()}

    def _execute(self, missing: Numbers, prices: Numbers, sold: Numbers, bought: Numbers, buffer: Fraction) -> None:
        """Trade the plan. Buys that need the sells are raised to the cash afterwards; top-ups invest what is left."""
        unpaid = {
            name: money((down(missing[name] / prices[name], GRAIN) - each) * prices[name])
            for name, each in bought.items()
        }
        cost = sum(up(each * worst_price(prices[name]), CENT) for name, each in bought.items())
        needs_sells = self.cash - buffer < cost
        self._trade(sold, prices, -1)
        if needs_sells:
            more = self._further(unpaid, prices, self.cash - buffer - cost, is_raise=True)
            bought = {name: each + more.get(name, 0) for name, each in bought.items()}
            unpaid = {name: rest - money(more.get(name, Fraction(0)) * prices[name]) for name, rest in unpaid.items()}
        self._trade(bought, prices, 1)
        for _ in range(MAX_TOP_UPS):
            more = self._further(unpaid, prices, self.cash - buffer, is_raise=False)
            self._trade(more, prices, 1)
            unpaid = {name: rest - money(more.get(name, Fraction(0)) * prices[name]) for name, rest in unpaid.items()}

    @staticmethod
    def _further(unpaid: Numbers, prices: Numbers, free: Fraction, *, is_raise: bool) -> Numbers:
        """Return the quantities that the cash pays for at the worst prices, in proportion to what is unpaid."""
        rest = {name: down(amount / prices[name], GRAIN) for name, amount in unpaid.items() if amount > 0}
        rest = {name: each for name, each in rest.items() if each}
        while rest:
            left = free - CENT * len(rest)  # each amount is rounded up to a cent
            small: Iterable[str] = rest
            if left > 0:
                share = min(Fraction(1), left / sum(each * worst_price(prices[name]) for name, each in rest.items()))
                more = {name: down(each * share, GRAIN) for name, each in rest.items()}
                small = [name for name in more if money(more[name] * prices[name]) < (0 if is_raise else MINIMUM)]
                small = [*small, *(name for name in more if not more[name])]
                if not small:
                    return more
            del rest[min(small, key=lambda name: (rest[name] * prices[name], name))]
        return {}

    def _trade(self, trades: Numbers, prices: Numbers, sign: int) -> None:
        for name, each in trades.items():
            self.held[name] += sign * each
            self.cash -= sign * money(each * prices[name])


def worst_price(price: Fraction) -> Fraction:
    """Return the most that a share may cost."""
    return down(price * (1 + SLIPPAGE), GRAIN)
