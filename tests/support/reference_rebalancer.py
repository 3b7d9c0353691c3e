"""A reference rebalancer: the default policy, implemented independently in exact fractions.

The class shares no code with the planner, the watches or the execution, which the tests compare with it.
"""

from collections.abc import Mapping
from fractions import Fraction
from math import ceil, floor

GRAIN, CENT = Fraction(1, 10**9), Fraction(1, 100)
MINIMUM = Fraction(1)
BUFFER, SLIPPAGE = Fraction(1, 400), Fraction(1, 100)
Numbers = dict[str, Fraction]


def down(number: Fraction, unit: Fraction) -> Fraction:
    """Round down to whole units."""
    return floor(number / unit) * unit


def up(number: Fraction, unit: Fraction) -> Fraction:
    """Round up to whole units."""
    return ceil(number / unit) * unit


class ReferenceRebalancer:
    """A portfolio that is weighed every day, and traded to its target if a weight is outside its band (points).

    Assets above their target are sold down to the target. Cash less the buffer then buys, assuming that every order
    fills at its worst price: first the assets outside their band up to its edge, most expensive first; then the rest
    of those; then the others, the largest shortfall first. An order is at least 1.00, and cash has no target.
    """

    def __init__(self, target: Mapping[str, Fraction], band: Fraction, held: Numbers, cash: Fraction) -> None:
        self.target, self.band, self.held, self.cash = dict(target), band, dict(held), cash
        self.rebalances = 0

    def live(self, prices: Numbers) -> None:
        """Process one day at these prices; all orders fill at them."""
        worth = {name: held * prices[name] for name, held in self.held.items()}
        total = sum(worth.values()) + self.cash
        # A weight has 4 places.
        weights = {name: Fraction(round(each / total * 10**6), 10**4) for name, each in worth.items()}
        is_in = all(abs(weights[name] - self.target[name]) <= self.band for name in weights)
        if is_in and self.cash / total * 100 <= max(self.band, 100 * BUFFER + 1):
            return
        lacks = {
            name: self.target[name] * total / 100 - worth[name]
            for name in sorted(worth)
            if weights[name] != self.target[name]
        }
        sold = {name: down(-lack / prices[name], GRAIN) for name, lack in lacks.items() if lack < 0}
        sold = {name: each for name, each in sold.items() if each * prices[name] >= MINIMUM}
        edges = {
            name: (self.target[name] - self.band) * total / 100 - worth[name]
            for name in lacks
            if weights[name] < self.target[name] - self.band
        }
        sure = self.cash - BUFFER * total
        sure += sum(down(each * up(prices[name] * (1 - SLIPPAGE), GRAIN), CENT) for name, each in sold.items())
        there = self.cash + sum(each * prices[name] for name, each in sold.items())
        self._trade({name: -each for name, each in sold.items()}, prices)
        bought = self._bought(lacks, edges, prices, sure, there)
        self._trade(bought, prices)
        self.rebalances += bool(sold or bought)

    def _bought(self, lacks: Numbers, edges: Numbers, prices: Numbers, sure: Fraction, there: Fraction) -> Numbers:
        most = {name: down(lack / prices[name], GRAIN) for name, lack in lacks.items() if lack > 0}
        most = {name: each for name, each in most.items() if each * prices[name] >= MINIMUM}
        while most:
            first = {
                name: min(most[name], up(max(edges[name], MINIMUM) / prices[name], GRAIN))
                for name in most
                if name in edges
            }
            bought = self._spent(lacks, most, first, prices, sure, there)
            small = [name for name, each in bought.items() if each * prices[name] < MINIMUM]
            if not small:
                return bought
            del most[min(small, key=lambda name: (lacks[name], name))]
        return {}

    @staticmethod
    def _spent(
        lacks: Numbers, most: Numbers, first: Numbers, prices: Numbers, sure: Fraction, there: Fraction
    ) -> Numbers:
        bought: Numbers = {}
        in_turn = sorted(first, key=lambda name: (-first[name] * prices[name], name))
        for is_first, names in ((True, in_turn), (False, sorted(most, key=lambda name: (-lacks[name], name)))):
            # Of the rest, what has an order already comes first: `sorted` keeps the order of those that are alike.
            for name in names if is_first else sorted(names, key=lambda name: name not in bought):
                worst = down(prices[name] * (1 + SLIPPAGE), GRAIN)
                wanted = first[name] if is_first else most[name] - bought.get(name, 0)
                each = min(wanted, down(min(down(sure, CENT) / worst, there / prices[name]), GRAIN))
                if each > 0:
                    bought[name] = bought.get(name, Fraction(0)) + each
                    sure, there = sure - up(each * worst, CENT), there - each * prices[name]
        return bought

    def _trade(self, trades: Numbers, prices: Numbers) -> None:
        for name, each in trades.items():
            self.held[name] += each
            paid = abs(each) * prices[name] / CENT
            self.cash -= (1 if each > 0 else -1) * floor(paid + Fraction(1, 2)) * CENT  # half up
