"""A benchmark: one symbol over the days of a portfolio, with the dividends that are stored for the symbol.

A portfolio's return includes its dividends, so a benchmark's return should do so too. Without stored dividends the
return of a benchmark is its price return, and every figure says which of the two was compared.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, timedelta
from decimal import Decimal
from enum import StrEnum
from itertools import pairwise

from msgspec import Struct, field

from trimtab.analytics.domain.daily_value import DailyValue
from trimtab.contracts.quotes import Split
from trimtab.kernel.money import CONTEXT, ZERO
from trimtab.kernel.trading_days import LONGEST_CLOSURE_DAYS, on_or_before

_LONGEST = timedelta(days=LONGEST_CLOSURE_DAYS)


class ReturnKind(StrEnum):
    """TOTAL: dividends are reinvested at the close of their ex-day; PRICE: no dividends are known."""

    TOTAL = "total_return"
    PRICE = "price_return"


class Benchmark(Struct, frozen=True):
    """Unadjusted closes of a symbol by day, the splits of the symbol, and dividends of one unit by ex-day.

    An ex-day needs a close; the dividend of another day is not counted.
    """

    symbol: str
    closes: Mapping[date, Decimal]
    splits: Sequence[Split] = ()
    dividends: Mapping[date, Decimal] = field(default_factory=dict)

    @property
    def kind(self) -> ReturnKind:
        """The kind of the benchmark's returns."""
        return ReturnKind.TOTAL if self.dividends else ReturnKind.PRICE

    def period_return(self, first: date, last: date) -> Decimal | None:
        """Return the return between two days as a share, split-adjusted, each day at its last close.

        None where the last close is older than the longest market closure.
        """
        known = sorted(self.closes)
        before, after = self._last_close_day(known, first), self._last_close_day(known, last)
        return None if before is None or after is None else self._return_between(before, after)

    def invest_flows(self, days: Iterable[DailyValue]) -> dict[date, Decimal]:
        """Return the value by day, in money, of the same deposits and withdrawals invested in the benchmark.

        The series starts with the value of the first day that has both a value and a recent close. A deposit is
        invested before the day's change, a withdrawal taken out after, as in the portfolio's returns. The series
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
        growth = CONTEXT.divide(price, self.closes[before])
        for day, amount in self.dividends.items():
            if before < day <= after and day in self.closes:
                growth = CONTEXT.multiply(growth, 1 + CONTEXT.divide(amount, self.closes[day]))
        return growth - 1
