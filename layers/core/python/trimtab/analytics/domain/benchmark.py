"""A benchmark: the price of one symbol over the days of a portfolio."""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, timedelta
from decimal import Decimal
from itertools import pairwise

from msgspec import Struct

from trimtab.analytics.domain.daily_value import DailyValue
from trimtab.contracts.quotes import Split
from trimtab.kernel.money import CONTEXT, ZERO
from trimtab.kernel.trading_days import LONGEST_CLOSURE_DAYS, on_or_before

_LONGEST = timedelta(days=LONGEST_CLOSURE_DAYS)


class Benchmark(Struct, frozen=True):
    """Unadjusted closes of a symbol by day, and the splits of the symbol."""

    symbol: str
    closes: Mapping[date, Decimal]
    splits: Sequence[Split] = ()

    def price_return(self, first: date, last: date) -> Decimal | None:
        """Return the price return between two days as a share, split-adjusted, each day at its last close.

        None where the last close is older than the longest market closure.
        """
        known = sorted(self.closes)
        before, after = self._last_close_day(known, first), self._last_close_day(known, last)
        return None if before is None or after is None else self._return_between(before, after)

    def invest_flows(self, days: Iterable[DailyValue]) -> dict[date, Decimal]:
        """Return the value by day, in money, of the same deposits and withdrawals invested in the benchmark.

        The series starts with the value of the first day that has both a value and a recent close. A deposit is
        invested before the day's price change, a withdrawal taken out after, as in the portfolio's returns. The series
        ends where nothing is left. Source: the public market equivalent of Long and Nickels (1996).
        """
        known, found = sorted(self.closes), dict[date, Decimal]()
        value, before = ZERO, None
        for day in days:
            close = self._last_close_day(known, day.day) or before
            if before is None:
                value = day.value
            elif close is not None:
                invested = CONTEXT.multiply(value + max(day.flow, ZERO), 1 + self._return_between(before, close))
                value = invested + min(day.flow, ZERO)
            if value > 0 and close is not None:
                found[day.day], before = value, close
            elif before is not None:
                break
        return found

    def daily_returns(self, days: Iterable[date]) -> list[Decimal | None]:
        """Return the return from each day to the next, as shares; one fewer than the days.

        None where either day has no close of its own: a carried close would make up a return. A day without a session
        counts as the trading day before.
        """
        trading_days = (on_or_before(day) for day in days)
        return [
            self._return_between(before, after) if before in self.closes and after in self.closes else None
            for before, after in pairwise(trading_days)
        ]

    def _last_close_day(self, known: Sequence[date], day: date) -> date | None:
        place = bisect_right(known, day)
        return known[place - 1] if place and day - known[place - 1] <= _LONGEST else None

    def _return_between(self, before: date, after: date) -> Decimal:
        price = self.closes[after]
        for split in self.splits:
            if before < split.effective_at.astimezone(UTC).date() <= after:
                price = CONTEXT.divide(CONTEXT.multiply(price, split.new), split.old)
        return CONTEXT.divide(price, self.closes[before]) - 1
