"""A benchmark: the price of one symbol, over the same days as a portfolio."""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, timedelta
from decimal import Decimal
from itertools import pairwise

from msgspec import Struct

from trimtab.analytics.domain.series import Snapshot
from trimtab.contracts.quotes import Split
from trimtab.kernel.money import CONTEXT, ZERO
from trimtab.kernel.trading_days import LONGEST_CLOSURE_DAYS, on_or_before

_LONGEST = timedelta(days=LONGEST_CLOSURE_DAYS)


class Benchmark(Struct, frozen=True):
    """Unadjusted closes of a symbol by day, and its splits."""

    symbol: str
    closes: Mapping[date, Decimal]
    splits: Sequence[Split] = ()

    def change(self, first: date, last: date) -> Decimal | None:
        """Its return between two days as a share, each at its last close; None where that is over a week old."""
        known = sorted(self.closes)
        before, after = self._last(known, first), self._last(known, last)
        return None if before is None or after is None else self._between(before, after)

    def with_flows_of(self, days: Iterable[Snapshot]) -> dict[date, Decimal]:
        """What it would be worth, day by day, if the money of these days (in order) had been put into it instead.

        It starts with the value of the first day that has both a value and a close near it. What comes in buys before
        a day's change, what goes out is sold after it, as in the portfolio's returns. It ends where nothing is left.
        (The public market equivalent of Long and Nickels.)
        """
        known, found = sorted(self.closes), dict[date, Decimal]()
        worth, before = ZERO, None
        for it in days:
            close = self._last(known, it.day) or before
            if before is None:
                worth = it.value
            elif close is not None:
                invested = CONTEXT.multiply(worth + max(it.flow, ZERO), 1 + self._between(before, close))
                worth = invested + min(it.flow, ZERO)
            if worth > 0 and close is not None:
                found[it.day], before = worth, close
            elif before is not None:
                break
        return found

    def daily(self, days: Iterable[date]) -> list[Decimal | None]:
        """Its return from each of the days (in order) to the next one, as a share.

        None where it has no close of its own on one of the two: one carried over would be a made-up return. A day
        without a session stands for the trading day before it.
        """
        asked = (on_or_before(day) for day in days)
        return [
            self._between(before, after) if before in self.closes and after in self.closes else None
            for before, after in pairwise(asked)
        ]

    def _last(self, known: Sequence[date], day: date) -> date | None:
        place = bisect_right(known, day)
        return known[place - 1] if place and day - known[place - 1] <= _LONGEST else None

    def _between(self, before: date, after: date) -> Decimal:
        price = self.closes[after]
        for split in self.splits:
            if before < split.effective_at.astimezone(UTC).date() <= after:
                price = CONTEXT.divide(CONTEXT.multiply(price, split.new), split.old)
        return CONTEXT.divide(price, self.closes[before]) - 1
