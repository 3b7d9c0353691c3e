"""Returns of a portfolio over a window, with and without the effect of when money came and went.

The timing of flows, named `TIMING`: what came in on a day (net) counts from the start of that day, what went out until
its end. So the first deposit has a return from its first day, and selling everything has the return of its last one.
"""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal

from msgspec import Struct, field

from trimtab.analytics.domain import rates
from trimtab.analytics.domain.benchmark import Benchmark
from trimtab.analytics.domain.figures import Figure, Unit, told
from trimtab.analytics.domain.series import BASIS, Flow, Snapshot
from trimtab.analytics.domain.windows import Window
from trimtab.kernel.money import CONTEXT, ZERO, to_money

TIMING = "net_inflow_at_start_of_day_net_outflow_at_end"
YEAR_DAYS = 365
_BASIS = f"{BASIS},{TIMING}"
_DAY = timedelta(days=1)
_ONE = Decimal(1)


class Stretch(Struct, frozen=True):
    """The part of a series that lies in a window: `opening` is the snapshot it opens with, `days` are those after it.

    Without an opening the portfolio began inside the window, with nothing. `window` names the days that are really
    covered: from the opening, or the day before the first snapshot, to the last snapshot; None where there is none.
    """

    window: Window | None
    opening: Snapshot | None
    days: tuple[Snapshot, ...]

    @property
    def opening_value(self) -> Decimal:
        """In money; zero before the portfolio began."""
        return self.opening.value if self.opening else ZERO

    @property
    def net_flow(self) -> Decimal:
        """What was put in less what was taken out, in money."""
        return sum((it.flow for it in self.days), ZERO)

    @property
    def closing_value(self) -> Decimal:
        """In money."""
        return self.days[-1].value if self.days else self.opening_value

    @property
    def gain(self) -> Decimal:
        """What was earned: the change in value that no flow explains, in money."""
        return self.closing_value - self.opening_value - self.net_flow


class Returns(Struct, frozen=True):
    """Daily time-weighted returns as shares (0.01 is one percent), by day; `opened` is the day before the first.

    Days on which nothing was invested have none. `broken` is the day on which something was earned with no capital, or
    more was lost than there was (money that was entered later than the trades it paid for, say): nothing can be chained
    across it.
    """

    opened: date | None
    by_day: Mapping[date, Decimal]
    broken: date | None = None

    @property
    def numbers(self) -> list[float]:
        """The returns in order of time, for statistics."""
        return [float(it) for it in self.by_day.values()]


class Performance(Struct, frozen=True):
    """How a portfolio did over a window. Values, flow and gain are money; the figures are percents.

    Where there is no benchmark, its two figures are None.
    """

    stretch: Stretch
    opening_value: Decimal
    closing_value: Decimal
    net_flow: Decimal
    gain: Decimal
    time_weighted: Figure
    time_weighted_annualised: Figure
    money_weighted: Figure
    money_weighted_annualised: Figure
    simple: Figure
    benchmark: Figure | None = None
    excess: Figure | None = None
    returns: Returns = field(default_factory=lambda: Returns(None, {}))


def stretch(series: Sequence[Snapshot], window: Window) -> Stretch:
    """The snapshots of the window; `series` is by day."""
    before = [it for it in series if it.day <= window.first]
    days = tuple(it for it in series if window.first < it.day <= window.last)
    opening = before[-1] if before else None
    if not days:
        return Stretch(None, opening, ())
    first = opening.day if opening else days[0].day - _DAY
    return Stretch(Window(window.span, first, days[-1].day), opening, days)


def daily_returns(part: Stretch) -> Returns:
    """(value + what went out) / (value of the day before + what came in) - 1, for each day."""
    found: dict[date, Decimal] = {}
    before = part.opening_value
    opened = part.window.first if part.window else None
    for it in part.days:
        capital = before + max(it.flow, ZERO)
        result = it.value - min(it.flow, ZERO)
        if capital > 0 and result >= 0:
            found[it.day] = CONTEXT.divide(result, capital) - 1
        elif capital or result:
            return Returns(opened, found, broken=it.day)
        before = it.value
    return Returns(opened, found)


def performance(series: Sequence[Snapshot], window: Window, benchmark: Benchmark | None = None) -> Performance:
    """All figures of the window."""
    part = stretch(series, window)
    returns = daily_returns(part)
    weighted = time_weighted(part, returns)
    in_money, annual = money_weighted(part)
    against = benchmark_return(part, benchmark) if benchmark else None
    return Performance(
        stretch=part,
        opening_value=to_money(part.opening_value),
        closing_value=to_money(part.closing_value),
        net_flow=to_money(part.net_flow),
        gain=to_money(part.gain),
        time_weighted=weighted,
        time_weighted_annualised=_annualised(part, returns),
        money_weighted=in_money,
        money_weighted_annualised=annual,
        simple=simple(part),
        benchmark=against,
        excess=_excess(weighted, against) if against else None,
        returns=returns,
    )


def growth(returns: Returns) -> Decimal:
    """What one unit of money became that was in all the time."""
    total = _ONE
    for it in returns.by_day.values():
        total = CONTEXT.multiply(total, 1 + it)
    return total


def time_weighted(part: Stretch, returns: Returns) -> Figure:
    """The daily returns chained: what was earned, whenever money came or went."""
    method, count = "time_weighted_daily_chain_linked", len(returns.by_day)
    reason = _no_chain(returns)
    return _figure(part, method, count, growth(returns) - 1 if reason is None else None, reason)


def money_weighted(part: Stretch) -> tuple[Figure, Figure]:
    """The internal rate of return over the whole window, and the same a year (XIRR, actual/365)."""
    whole, yearly = "internal_rate_of_return_of_the_window", "xirr_actual_365"
    payments = _payments(part)
    if part.window is None:
        found = rates.Growth(None, "too_few_observations")
    else:
        found = rates.growth(payments, until=part.window.last)
    value = None if found.factor is None else Decimal(found.factor) - 1
    annual = None if found.factor is None else _per_year(Decimal(found.factor), found.days)
    reason = found.reason or (None if annual is not None else "shorter_than_a_year")
    count = len(payments)
    return _figure(part, whole, count, value, found.reason), _figure(part, yearly, count, annual, reason)


def simple(part: Stretch) -> Figure:
    """Gain / (opening value + net flow): what was earned on what was put in, whenever it was."""
    capital = part.opening_value + part.net_flow
    reason = "too_few_observations" if not part.days else "no_capital" if capital <= 0 else None
    value = CONTEXT.divide(part.gain, capital) if reason is None else None
    return _figure(part, "simple_gain_over_opening_value_and_net_flow", len(part.days), value, reason)


def benchmark_return(part: Stretch, benchmark: Benchmark) -> Figure:
    """What the benchmark's price did from the opening day to the last day."""
    found = benchmark.change(part.window.first, part.window.last) if part.window else None
    return told(
        found,
        Unit.PERCENT,
        method="price_return",
        basis=f"last_close_split_adjusted:{benchmark.symbol}",
        window=part.window,
        observations=0 if found is None else 2,
        reason="no_benchmark_close" if part.window else "too_few_observations",
    )


def _annualised(part: Stretch, returns: Returns) -> Figure:
    reason = _no_chain(returns)
    value = None
    if reason is None and part.window is not None:
        value = _per_year(growth(returns), (part.window.last - part.window.first).days)
        reason = "shorter_than_a_year" if value is None else None
    method = "time_weighted_daily_chain_linked_annualised_actual_365"
    return _figure(part, method, len(returns.by_day), value, reason)


def _per_year(factor: Decimal, days: int) -> Decimal | None:
    """The yearly rate of a growth; None below a year: a good month is no good year."""
    if days < YEAR_DAYS:
        return None
    return CONTEXT.power(max(factor, ZERO), CONTEXT.divide(YEAR_DAYS, days)) - 1


def _payments(part: Stretch) -> list[Flow]:
    """The investor's payments: what he put in is below zero, what he took out or still has is above."""
    if part.window is None:
        return []
    paid = [Flow(part.window.first, -part.opening_value)]
    paid += [Flow(it.day - _DAY if it.flow > 0 else it.day, -it.flow) for it in part.days]
    paid.append(Flow(part.window.last, part.closing_value))
    return [it for it in paid if it.amount]


def _no_chain(returns: Returns) -> str | None:
    if returns.broken is not None:
        return "no_capital"
    return None if returns.by_day else "too_few_observations"


def _excess(portfolio: Figure, benchmark: Figure) -> Figure:
    value = None
    if portfolio.value is not None and benchmark.value is not None:
        value = portfolio.value - benchmark.value
    reason = portfolio.reason or benchmark.reason
    method, basis = "arithmetic_difference_of_time_weighted_and_benchmark", f"{_BASIS},{benchmark.basis}"
    return Figure(value, Unit.PERCENT, method, basis, portfolio.window, portfolio.observations, reason)


def _figure(part: Stretch, method: str, observations: int, value: Decimal | None, reason: str | None) -> Figure:
    return told(
        value,
        Unit.PERCENT,
        method=method,
        basis=_BASIS,
        window=part.window,
        observations=observations,
        reason=reason,
    )
