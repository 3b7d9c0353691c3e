"""A benchmark: the price of one symbol, over the same days as a portfolio."""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, timedelta
from decimal import Decimal
from itertools import pairwise

from trimtab.contracts.quotes import Split
from trimtab.kernel.money import CONTEXT
from trimtab.kernel.trading_days import LONGEST_CLOSURE_DAYS

_LONGEST = timedelta(days=LONGEST_CLOSURE_DAYS)


@dataclass(frozen=True, slots=True)
class Benchmark:
    """Unadjusted closes of a symbol by day, and its splits."""

    symbol: str
    closes: Mapping[date, Decimal]
    splits: Sequence[Split] = ()

    def change(self, first: date, last: date) -> Decimal | None:
        """Its return between two days as a share, each at its last close; None where that is over a week old."""
        return self.changes([first, last])[-1] if first < last else None

    def changes(self, days: Iterable[date], *, on_the_day: bool = False) -> list[Decimal | None]:
        """Its return from each of the days (in order) to the next one; None where a close is missing.

        `on_the_day` asks for closes of the very days; only the first of them, on which nothing may have been traded,
        takes the last one before.
        """
        known = sorted(self.closes)
        asked = list(days)
        found = [
            day if day in self.closes else None if on_the_day and place else self._last(known, day)
            for place, day in enumerate(asked)
        ]
        return [
            self._between(before, after) if before is not None and after is not None else None
            for before, after in pairwise(found)
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
