"""The internal rate of return: the one growth at which payments of different days balance, if there is exactly one."""

from collections.abc import Iterable, Sequence
from datetime import date
from itertools import pairwise
from math import copysign, exp

from msgspec import Struct

from trimtab.analytics.domain.series import Flow

YEAR_DAYS = 365
HALVINGS = 100
_WIDEST = 512.0  # the logarithm of the largest growth that is looked for where there is only one
_SCANNED = 10.0  # and where there may be several: from a 22,000th to 22,000 times
_STEP = 0.05


class Growth(Struct, frozen=True):
    """What one unit of money became in so many days, 0 for a total loss; None with the reason where nobody can say.

    Reasons: `too_few_observations`, `no_time` (all on one day), `no_rate` (no growth balances the payments;
    where their sign changes more than once, none from a 22,000th to 22,000 times), `several_rates` (more than one does,
    so none of them is the answer).
    """

    factor: float | None
    reason: str | None = None
    days: int = 0

    @property
    def yearly(self) -> float | None:
        """The rate of 365 days as a share (XIRR); None where there is none, or it is too large to tell."""
        if self.factor is None or not self.days:
            return None
        try:
            return float(self.factor ** (YEAR_DAYS / self.days)) - 1
        except OverflowError:
            return None


def growth(payments: Iterable[Flow], until: date | None = None) -> Growth:
    """From the first payment to `until` (or the last one); paid in is below zero, taken out or still there above."""
    amounts = _by_day(payments)
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
    # One change of sign means exactly one positive root (Descartes); several mean that many or fewer, none means none.
    brackets = _brackets(terms) if changes > 1 else [(-_WIDEST, _WIDEST)] * changes
    if len(brackets) > 1:
        return Growth(None, "several_rates")
    root = _root(terms, *brackets[0]) if brackets else None
    return Growth(None, "no_rate") if root is None else Growth(exp(root), days=days)


def _by_day(payments: Iterable[Flow]) -> list[tuple[date, float]]:
    """What balances each day, in order; a common factor does not matter, so the largest is 1."""
    days: dict[date, float] = {}
    for it in payments:
        days[it.day] = days.get(it.day, 0.0) + float(it.amount)
    largest = max((abs(amount) for amount in days.values()), default=0.0)
    return [(day, amount / largest) for day, amount in sorted(days.items()) if amount]


def _worth(terms: Sequence[tuple[float, float]], log: float) -> float:
    """What all payments are worth on the last day at a growth whose logarithm this is."""
    return sum(amount * exp(share * log) for share, amount in terms)


def _brackets(terms: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Between which logarithms the worth changes its sign; two roots closer than 5 % of growth are not told apart."""
    found: list[tuple[float, float]] = []
    count = int(2 * _SCANNED / _STEP)
    before: float | None = None
    previous = -_SCANNED
    for place in range(count + 1):
        log = -_SCANNED + place * _STEP
        worth = _worth(terms, log)
        if not worth:
            found.append((log, log))
        elif before is not None and before * worth < 0:
            found.append((previous, log))
        before, previous = worth or None, log
    return found


def _root(terms: Sequence[tuple[float, float]], low: float, high: float) -> float | None:
    """Bisection: every step is safe whatever the payments are."""
    below = copysign(1.0, _worth(terms, low))
    if low < high and below == copysign(1.0, _worth(terms, high)):
        return None
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        if copysign(1.0, _worth(terms, middle)) == below:
            low = middle
        else:
            high = middle
    return (low + high) / 2
