"""The internal rate of return: the growth at which payments on different days balance.

Source: the definition of XIRR (net present value zero, actual/365), solved for the logarithm of the growth of the whole
period instead of the yearly rate, so that rates near -100 % and growth beyond all numbers are found alike.
"""

from collections.abc import Iterable, Sequence
from datetime import date
from math import expm1, inf

from msgspec import Struct

from trimtab.analytics.domain.daily_value import Flow
from trimtab.analytics.domain.exponential_roots import find_roots

YEAR_DAYS = 365


class Growth(Struct, frozen=True):
    """The growth of money over `days` days.

    `logs` are the natural logarithms of the growth factors at which the payments balance, minus infinity for a total
    loss. Exactly one is the answer; otherwise there is a reason: `too_few_observations`; `no_time` (all payments on one
    day); `no_rate` (no growth above zero balances the payments); `several_rates` (each of `logs` does).
    """

    logs: tuple[float, ...] = ()
    days: int = 0
    reason: str | None = None

    @property
    def factor(self) -> float | None:
        """The factor by which one unit of money grew, infinite beyond the range of floats; None without an answer."""
        rate = self.rate
        return None if rate is None else rate + 1

    @property
    def rate(self) -> float | None:
        """The growth of the whole period less one, as a share; None without an answer."""
        return self.rates[0] if self.reason is None else None

    @property
    def annual_rate(self) -> float | None:
        """The growth of 365 days less one, as a share (XIRR); None without an answer."""
        return self.annual_rates[0] if self.reason is None else None

    @property
    def rates(self) -> tuple[float, ...]:
        """All rates of the whole period at which the payments balance, in order."""
        return tuple(_rate(log) for log in self.logs)

    @property
    def annual_rates(self) -> tuple[float, ...]:
        """All yearly rates at which the payments balance, in order."""
        return tuple(_rate(log / self.days * YEAR_DAYS) for log in self.logs)


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
        return Growth(reason="too_few_observations")
    first, last = amounts[0][0], amounts[-1][0]
    days = max((last - first).days, ((until or first) - first).days)
    if not days:
        return Growth(reason="no_time")
    if all(amount < 0 for _, amount in amounts):
        return Growth((-inf,), days)
    span = (last - first).days
    roots = find_roots([((last - day).days / span, amount) for day, amount in amounts]) if span else []
    logs = tuple(root / span * days for root in roots)
    reason = "no_rate" if not logs else "several_rates" if len(logs) > 1 else None
    return Growth(logs, days, reason)


def _sum_by_day(payments: Iterable[Flow]) -> Sequence[tuple[date, float]]:
    """Return the net payment of each day in order, scaled so that the largest is 1 (a common factor cancels out)."""
    days: dict[date, float] = {}
    for payment in payments:
        days[payment.day] = days.get(payment.day, 0.0) + float(payment.amount)
    largest = max((abs(amount) for amount in days.values()), default=0.0)
    return [(day, amount / largest) for day, amount in sorted(days.items()) if amount]


def _rate(log: float) -> float:
    """Return the rate of a logarithm of growth, infinite beyond the range of floats."""
    try:
        return expm1(log)
    except OverflowError:
        return inf
