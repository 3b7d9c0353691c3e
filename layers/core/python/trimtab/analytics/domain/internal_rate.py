"""The internal rate of return: the growth factor at which payments on different days balance.

Source: the definition of XIRR (net present value zero, actual/365), solved for the growth of the whole period instead
of the yearly rate. Descartes' rule of signs bounds the number of solutions.
"""

from collections.abc import Iterable, Sequence
from datetime import date
from itertools import pairwise
from math import copysign, exp

from msgspec import Struct

from trimtab.analytics.domain.daily_value import Flow

YEAR_DAYS = 365
HALVINGS = 100
_WIDEST = 512.0  # logarithm of the largest growth searched where only one solution is possible
_SCANNED = 10.0  # the same where several are possible: growth from 1/22,000 to 22,000
_STEP = 0.05


class Growth(Struct, frozen=True):
    """The factor by which one unit of money grew in `days` days, 0 for a total loss; None with a reason if undefined.

    Reasons: `too_few_observations`; `no_time` (all payments on one day); `no_rate` (no growth balances the payments;
    where their sign changes more than once, none from 1/22,000 to 22,000); `several_rates` (more than one growth
    balances the payments, so none is the answer).
    """

    factor: float | None
    reason: str | None = None
    days: int = 0

    @property
    def annual_rate(self) -> float | None:
        """The growth of 365 days less one, as a share (XIRR); None where undefined or too large for a float."""
        if self.factor is None or not self.days:
            return None
        try:
            return float(self.factor ** (YEAR_DAYS / self.days)) - 1
        except OverflowError:
            return None


def solve_growth(payments: Iterable[Flow], until: date | None = None) -> Growth:
    """Return the growth from the first payment to the later of `until` and the last payment.

    Payments are seen from the investor: money paid in is below zero, money taken out or still invested above zero.

    >>> from decimal import Decimal
    >>> paid, received = Flow(date(2025, 1, 1), Decimal(-100)), Flow(date(2026, 1, 1), Decimal(110))
    >>> round(solve_growth([paid, received]).annual_rate, 6)
    0.1
    """
    amounts = _sum_by_day(payments)
    if not amounts:
        return Growth(None, "too_few_observations")
    first, last = amounts[0][0], max(amounts[-1][0], until or date.min)
    days = (last - first).days
    if not days:
        return Growth(None, "no_time")
    if all(amount < 0 for _, amount in amounts):
        return Growth(0.0, days=days)
    terms = [((last - day).days / days, amount) for day, amount in amounts]
    changes = sum(a[1] * b[1] < 0 for a, b in pairwise(terms))
    # Descartes: no change of sign means no positive root, one change exactly one root, several changes at most as many.
    brackets = _brackets(terms) if changes > 1 else [(-_WIDEST, _WIDEST)] * changes
    if len(brackets) > 1:
        return Growth(None, "several_rates")
    root = _bisect(terms, *brackets[0]) if brackets else None
    return Growth(None, "no_rate") if root is None else Growth(exp(root), days=days)


def _sum_by_day(payments: Iterable[Flow]) -> list[tuple[date, float]]:
    """Return the net payment of each day in order, scaled so that the largest is 1 (a common factor cancels out)."""
    days: dict[date, float] = {}
    for payment in payments:
        days[payment.day] = days.get(payment.day, 0.0) + float(payment.amount)
    largest = max((abs(amount) for amount in days.values()), default=0.0)
    return [(day, amount / largest) for day, amount in sorted(days.items()) if amount]


def _final_value(terms: Sequence[tuple[float, float]], log: float) -> float:
    """Return the value of all payments on the last day at the growth whose logarithm is `log`."""
    return sum(amount * exp(share * log) for share, amount in terms)


def _brackets(terms: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the pairs of logarithms between which the final value changes sign.

    Two roots closer than 5 % of growth count as one bracket or none.
    """
    found: list[tuple[float, float]] = []
    count = int(2 * _SCANNED / _STEP)
    before: float | None = None
    previous = -_SCANNED
    for place in range(count + 1):
        log = -_SCANNED + place * _STEP
        value = _final_value(terms, log)
        if not value:
            found.append((log, log))
        elif before is not None and before * value < 0:
            found.append((previous, log))
        before, previous = value or None, log
    return found


def _bisect(terms: Sequence[tuple[float, float]], low: float, high: float) -> float | None:
    """Return the root between two logarithms; bisection converges whatever the payments are."""
    below = copysign(1.0, _final_value(terms, low))
    if low < high and below == copysign(1.0, _final_value(terms, high)):
        return None
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        if copysign(1.0, _final_value(terms, middle)) == below:
            low = middle
        else:
            high = middle
    return (low + high) / 2
