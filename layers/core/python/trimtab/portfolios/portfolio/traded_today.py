"""Totals of a portfolio's trading day: what its rebalances bought and sold, and the number of rebalances."""

from datetime import date, datetime
from decimal import Decimal

from msgspec import Struct
from msgspec.structs import replace

from trimtab.kernel.money import ZERO


class TradedToday(Struct, frozen=True):
    """Totals of a UTC day: the amounts of all fills of rebalances (money, reversals included), and the planned runs."""

    day: date
    turnover: Decimal = ZERO
    runs: int = 0

    def on(self, now: datetime) -> "TradedToday":
        """Return the totals of the present day, which begin at zero."""
        return self if self.day == now.date() else TradedToday(now.date())


def add_run(traded: TradedToday | None, now: datetime) -> TradedToday:
    """Return the totals with one more run."""
    today = (traded or TradedToday(now.date())).on(now)
    return replace(today, runs=today.runs + 1)


def add_turnover(traded: TradedToday | None, amount: Decimal, now: datetime) -> TradedToday:
    """Return the totals with the amount of fills added."""
    today = (traded or TradedToday(now.date())).on(now)
    return replace(today, turnover=today.turnover + amount)
