"""Returns of a portfolio over a window, time-weighted and money-weighted: total returns, dividends and fees included.

Timing of flows (`TIMING`): the net inflow of a day counts from the start of that day, a net outflow until its end. So
the first deposit earns a return from its first day, and selling everything includes the return of the last day.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from itertools import accumulate

from msgspec import Struct
from msgspec.structs import replace

from trimtab.analytics.domain.benchmark import Benchmark, ReturnKind
from trimtab.analytics.domain.daily_value import BASIS, DailyValue, Flow
from trimtab.analytics.domain.figures import Figure, FigureUnit, make_figure, round_figure
from trimtab.analytics.domain.internal_rate import YEAR_DAYS, solve_growth
from trimtab.analytics.domain.windows import Window
from trimtab.kernel.money import CONTEXT, ZERO

TIMING = "net_inflow_at_start_of_day_net_outflow_at_end"
_BASIS = f"{BASIS},{TIMING}"
_DAY = timedelta(days=1)
_ONE = Decimal(1)


class WindowValues(Struct, frozen=True):
    """The daily values of a window: `opening` is the value before the window's first return, `days` those after.

    Without an opening the portfolio began inside the window, from nothing. `window` holds the days really covered:
    from the opening, or the day before the first value, to the last value; None without any day.
    """

    window: Window | None
    opening: DailyValue | None
    days: tuple[DailyValue, ...]

    @property
    def opening_value(self) -> Decimal:
        """The opening value in money, zero before the portfolio began."""
        return self.opening.value if self.opening else ZERO

    @property
    def net_flow(self) -> Decimal:
        """Deposits less withdrawals in money."""
        return sum((day.flow for day in self.days), ZERO)

    @property
    def closing_value(self) -> Decimal:
        """The last value in money."""
        return self.days[-1].value if self.days else self.opening_value

    @property
    def gain(self) -> Decimal:
        """The change in value less the net flow, in money."""
        return self.closing_value - self.opening_value - self.net_flow


class SkippedDay(Struct, frozen=True):
    """A day whose `gain` (money) is in no return, and the code of the reason.

    `no_capital`: earned or lost with nothing invested, such as a dividend after everything was sold.
    """

    day: date
    gain: Decimal
    reason: str = "no_capital"


class DailyReturns(Struct, frozen=True):
    """Daily time-weighted returns as shares (0.01 is one percent) by day; `opened` is the day before the first return.

    Days without invested capital have no return; those with a gain or a loss are in `skipped`. `broken` is the first
    day that lost more than its capital: no return can be linked across that day.
    """

    opened: date | None
    by_day: Mapping[date, Decimal]
    skipped: tuple[SkippedDay, ...] = ()
    broken: date | None = None

    @property
    def missing_reason(self) -> str | None:
        """The code of the reason why there is no return over the window; None where there is one."""
        if self.broken is not None:
            return "loss_exceeds_capital"
        if self.by_day:
            return None
        return "no_capital" if self.skipped else "too_few_observations"

    @property
    def numbers(self) -> list[float]:
        """The returns in order of time, as floats for statistics."""
        return [float(share) for share in self.by_day.values()]


class Performance(Struct, frozen=True):
    """The performance of a portfolio over a window: values, flow and gain in money, figures in percent.

    Without a benchmark, `benchmark` and `excess` are None.
    """

    values: WindowValues
    returns: DailyReturns
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


def select_window(series: Sequence[DailyValue], window: Window) -> WindowValues:
    """Return the values of the window; `series` is ordered by day."""
    before = [day for day in series if day.day <= window.first]
    days = tuple(day for day in series if window.first < day.day <= window.last)
    opening = before[-1] if before else None
    if not days:
        return WindowValues(None, opening, ())
    first = opening.day if opening else days[0].day - _DAY
    return WindowValues(Window(window.span, first, days[-1].day), opening, days)


def compute_daily_returns(values: WindowValues) -> DailyReturns:
    """Return (value + outflow) / (value of the day before + inflow) - 1 for each day with capital.

    Source: the daily valuation method of the Global Investment Performance Standards (GIPS), flows timed as `TIMING`.
    """
    found: dict[date, Decimal] = {}
    skipped: list[SkippedDay] = []
    before = values.opening_value
    opened = values.window.first if values.window else None
    for day in values.days:
        capital = before + max(day.flow, ZERO)
        result = day.value - min(day.flow, ZERO)
        if capital > 0 and result < 0:
            return DailyReturns(opened, found, tuple(skipped), broken=day.day)
        if capital > 0:
            found[day.day] = CONTEXT.divide(result, capital) - 1
        elif result != capital:
            skipped.append(SkippedDay(day.day, result - capital))
        before = day.value
    return DailyReturns(opened, found, tuple(skipped))


def measure_performance(
    series: Sequence[DailyValue], window: Window, benchmark: Benchmark | None = None
) -> Performance:
    """Return all performance figures of the window."""
    values = select_window(series, window)
    returns = compute_daily_returns(values)
    time_weighted = time_weighted_return(values, returns)
    money_weighted, money_weighted_annualised = money_weighted_returns(values)
    against = benchmark_return(values, benchmark) if benchmark else None
    return Performance(
        values=values,
        returns=returns,
        opening_value=values.opening_value,
        closing_value=values.closing_value,
        net_flow=values.net_flow,
        gain=values.gain,
        time_weighted=time_weighted,
        time_weighted_annualised=_annualised(values, returns),
        money_weighted=money_weighted,
        money_weighted_annualised=money_weighted_annualised,
        simple=simple_return(values),
        benchmark=against,
        excess=_excess(time_weighted, against) if against else None,
    )


def growth_factor(returns: DailyReturns) -> Decimal:
    """Return the product of 1 + each daily return: the growth of one unit invested all the time."""
    total = _ONE
    for share in returns.by_day.values():
        total = CONTEXT.multiply(total, 1 + share)
    return total


def time_weighted_return(values: WindowValues, returns: DailyReturns) -> Figure:
    """Return the chain-linked daily returns: the result independent of the timing of deposits and withdrawals."""
    method, count = "time_weighted_daily_chain_linked", len(returns.by_day)
    reason = returns.missing_reason
    return _figure(values, method, count, growth_factor(returns) - 1 if reason is None else None, reason)


def money_weighted_returns(values: WindowValues) -> tuple[Figure, Figure]:
    """Return the internal rate of return of the whole window and the same per year (XIRR, actual/365)."""
    payments = _payments(values)
    found = solve_growth(payments, until=values.window.last if values.window else None)
    is_short = found.reason is None and found.days < YEAR_DAYS
    whole = _figure(values, "internal_rate_of_return_of_the_window", len(payments), found.rate, found.reason)
    yearly = _figure(
        values,
        "xirr_actual_365",
        len(payments),
        None if is_short else found.annual_rate,
        "shorter_than_a_year" if is_short else found.reason,
    )
    if found.reason != "several_rates":
        return whole, yearly
    annual = found.annual_rates if found.days >= YEAR_DAYS else ()
    return replace(whole, candidates=_percents(found.rates)), replace(yearly, candidates=_percents(annual))


def simple_return(values: WindowValues) -> Figure:
    """Return the gain over the largest capital put in: the result regardless of timing.

    The capital put in at the end of a day is the opening value plus all flows so far. The largest is above zero if
    anything was put in, also after all of the money was taken out again.
    """
    capital = max(accumulate((day.flow for day in values.days), initial=values.opening_value))
    reason = "too_few_observations" if not values.days else "no_capital" if capital <= 0 else None
    value = CONTEXT.divide(values.gain, capital) if reason is None else None
    return _figure(values, "simple_gain_over_largest_net_capital", len(values.days), value, reason)


def benchmark_return(values: WindowValues, benchmark: Benchmark) -> Figure:
    """Return the benchmark's return from the opening day to the last day."""
    found = benchmark.period_return(values.window.first, values.window.last) if values.window else None
    basis = "last_close_split_adjusted"
    if benchmark.kind is ReturnKind.TOTAL:
        basis += ",dividends_reinvested_at_close_of_ex_day"
    return make_figure(
        found,
        FigureUnit.PERCENT,
        method=benchmark.kind.value,
        basis=f"{basis}:{benchmark.symbol}",
        window=values.window,
        observations=0 if found is None else 2,
        reason="no_benchmark_close" if values.window else "too_few_observations",
    )


def _annualised(values: WindowValues, returns: DailyReturns) -> Figure:
    reason = returns.missing_reason
    value = None
    if reason is None and values.window is not None:
        value = _annual_rate(growth_factor(returns), (values.window.last - values.window.first).days)
        reason = "shorter_than_a_year" if value is None else None
    method = "time_weighted_daily_chain_linked_annualised_actual_365"
    return _figure(values, method, len(returns.by_day), value, reason)


def _annual_rate(factor: Decimal, days: int) -> Decimal | None:
    """Return the yearly rate of a growth factor; None below a year, as a good month does not make a good year."""
    if days < YEAR_DAYS:
        return None
    return CONTEXT.power(max(factor, ZERO), CONTEXT.divide(YEAR_DAYS, days)) - 1


def _payments(values: WindowValues) -> list[Flow]:
    """Return the investor's payments: money put in below zero, money taken out or still invested above zero."""
    if values.window is None:
        return []
    paid = [Flow(values.window.first, -values.opening_value)]
    paid += [Flow(day.day - _DAY if day.flow > 0 else day.day, -day.flow) for day in values.days]
    paid.append(Flow(values.window.last, values.closing_value))
    return [payment for payment in paid if payment.amount]


def _excess(portfolio: Figure, benchmark: Figure) -> Figure:
    value = None
    if portfolio.value is not None and benchmark.value is not None:
        value = portfolio.value - benchmark.value
    reason = portfolio.reason or benchmark.reason
    method, basis = f"time_weighted_total_return_less_benchmark_{benchmark.method}", f"{_BASIS},{benchmark.basis}"
    return Figure(value, FigureUnit.PERCENT, method, basis, portfolio.window, portfolio.observations, reason)


def _percents(rates: Iterable[float]) -> tuple[Decimal, ...]:
    """Return the rates in percent, without those too large to be a figure."""
    rounded = (round_figure(rate, FigureUnit.PERCENT) for rate in rates)
    return tuple(percent for percent in rounded if percent is not None)


def _figure(
    values: WindowValues, method: str, observations: int, value: Decimal | float | None, reason: str | None
) -> Figure:
    return make_figure(
        value,
        FigureUnit.PERCENT,
        method=method,
        basis=_BASIS,
        window=values.window,
        observations=observations,
        reason=reason,
    )
