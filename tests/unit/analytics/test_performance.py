"""Returns of a portfolio, compared with values worked by hand."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, localcontext
from math import prod

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.analytics.domain.benchmark import Benchmark
from trimtab.analytics.domain.daily_value import DailyValue
from trimtab.analytics.domain.figures import Figure, FigureUnit, round_figure
from trimtab.analytics.domain.performance import (
    TIMING,
    Performance,
    SkippedDay,
    compute_daily_returns,
    measure_performance,
    select_window,
    time_weighted_return,
)
from trimtab.analytics.domain.windows import Span, Window, resolve_window
from trimtab.contracts.quotes import Split

DAY = timedelta(days=1)
FIRST = date(2026, 3, 2)
NOTHING = Decimal(0)


def daily_value(day: date, value: str | Decimal, flow: str | Decimal = NOTHING) -> DailyValue:
    """Return a day with nothing but a value and a flow."""
    return DailyValue(day, Decimal(value), Decimal(value), Decimal(flow), {}, {}, {})


def series(*days: tuple[str, str]) -> list[DailyValue]:
    """Return consecutive days of (value, flow)."""
    return [daily_value(FIRST + place * DAY, value, flow) for place, (value, flow) in enumerate(days)]


def measure_all(values: Sequence[DailyValue], benchmark: Benchmark | None = None) -> Performance:
    """Return the performance over the whole series."""
    last = values[-1].day if values else FIRST
    inception = values[0].day if values else None
    return measure_performance(values, resolve_window(Span.ALL, last, inception=inception), benchmark)


def value_and_reason(figure: Figure) -> tuple[Decimal | None, str | None]:
    """Return the value and the reason for a missing value."""
    return figure.value, figure.reason


def test_the_time_weighted_return_chains_the_days_whatever_came_and_went() -> None:
    # Day 1: 1,000 come in and are worth 1,100 at the end: 1,100 / 1,000 = 1.1.
    # Day 2: 900 come in at the start: 2,200 / (1,100 + 900) = 1.1.
    # Day 3: 1,100 go out at the end, 880 stay: (880 + 1,100) / 2,200 = 0.9.
    # 1.1 * 1.1 * 0.9 - 1 = 8.9 %.
    found = measure_all(series(("1100", "1000"), ("2200", "900"), ("880", "-1100")))
    assert found.time_weighted.value == Decimal("8.9000")
    assert found.time_weighted.observations == 3
    assert found.time_weighted.method == "time_weighted_daily_chain_linked"
    assert TIMING in found.time_weighted.basis
    assert found.time_weighted.window == Window(Span.ALL, FIRST - DAY, FIRST + 2 * DAY)
    # Put in: 1,000 + 900 - 1,100 = 800; left: 880; so 80 were earned on 1,900, the most that was put in.
    assert (found.net_flow, found.gain) == (Decimal(800), Decimal(80))
    assert found.simple.value == Decimal("4.2105")


def test_selling_everything_has_the_return_of_its_last_day() -> None:
    # 500 become 550 on the day on which all of day leaves: (0 + 550) / 500 = 1.1.
    found = measure_all(series(("500", "500"), ("0", "-550"), ("0", "0")))
    assert found.time_weighted.value == Decimal("10.0000")
    assert found.time_weighted.observations == 2, "a day with nothing invested is no observation"


def test_days_without_money_between_two_investments_are_skipped() -> None:
    found = measure_all(series(("110", "100"), ("0", "-110"), ("0", "0"), ("220", "200")))
    assert found.time_weighted.value == Decimal("21.0000")


def test_a_window_opens_at_the_last_value_on_or_before_its_first_day() -> None:
    days = series(("100", "100"), ("110", "0"), ("121", "0"), ("60.5", "0"))
    found = measure_performance(days, Window(Span.CUSTOM, FIRST + DAY, FIRST + 2 * DAY))
    assert found.opening_value == 110
    assert found.time_weighted.value == Decimal("10.0000")
    assert found.values.window == Window(Span.CUSTOM, FIRST + DAY, FIRST + 2 * DAY)


def test_a_window_that_begins_before_the_portfolio_says_which_days_it_covers() -> None:
    found = measure_performance(
        series(("100", "100"), ("110", "0")), Window(Span.ONE_YEAR, date(2025, 3, 31), FIRST + DAY)
    )
    assert found.time_weighted.window == Window(Span.ONE_YEAR, FIRST - DAY, FIRST + DAY)


def test_too_few_observations_is_an_answer() -> None:
    for found in (
        measure_all([]),
        measure_performance(series(("1", "1")), Window(Span.CUSTOM, FIRST + DAY, FIRST + 9 * DAY)),
    ):
        figures = [found.time_weighted, found.money_weighted, found.simple, found.time_weighted_annualised]
        assert {value_and_reason(figure) for figure in figures} == {(None, "too_few_observations")}


def test_a_day_with_a_gain_without_capital_is_skipped_with_its_reason() -> None:
    # The shares were bought with cash that was entered a day later: 10 were earned on nothing.
    found = measure_all(series(("0", "0"), ("10", "0"), ("110", "100"), ("121", "0")))
    assert found.returns.skipped == (SkippedDay(FIRST + DAY, Decimal(10), "no_capital"),)
    assert (found.time_weighted.value, found.time_weighted.observations) == (Decimal("10.0000"), 2)
    assert found.simple.value == Decimal("21.0000")


def test_a_late_dividend_leaves_the_figures_of_the_window_as_they_were() -> None:
    # 1,000 become 1,100 and are withdrawn; a dividend of 10.40 arrives later, and is withdrawn as well.
    sold = [("1000", "1000"), ("1050", "0"), ("0", "-1100"), ("0", "0")]
    before = measure_all(series(*sold))
    found = measure_all(series(*sold, ("10.40", "0"), ("10.40", "0"), ("0", "-10.40")))
    assert found.returns.skipped == (SkippedDay(FIRST + 4 * DAY, Decimal("10.40")),)
    assert found.time_weighted.value == before.time_weighted.value == Decimal("10.0000")
    assert found.gain == Decimal("110.40")
    assert found.simple.value == Decimal("11.0400")
    assert found.money_weighted.value is not None


def test_a_fee_without_capital_is_skipped_until_money_comes_in() -> None:
    found = measure_all(series(("-3", "0"), ("-3", "0"), ("-4", "0"), ("97", "101"), ("106.7", "0")))
    assert [(day.day, day.gain) for day in found.returns.skipped] == [
        (FIRST, Decimal(-3)),
        (FIRST + 2 * DAY, Decimal(-1)),
    ]
    assert found.time_weighted.value == Decimal("10.0000")


def test_gains_without_capital_alone_have_no_return() -> None:
    found = measure_all(series(("0", "0"), ("10", "0")))
    assert value_and_reason(found.time_weighted) == value_and_reason(found.simple) == (None, "no_capital")
    assert found.returns.missing_reason == "no_capital"


def test_losing_more_than_there_was_breaks_the_chain() -> None:
    found = measure_all(series(("100", "100"), ("-5", "0"), ("50", "60")))
    assert value_and_reason(found.time_weighted) == (None, "loss_exceeds_capital")
    assert value_and_reason(found.time_weighted_annualised) == (None, "loss_exceeds_capital")
    assert compute_daily_returns(found.values).broken == FIRST + DAY
    assert found.simple.value == Decimal("-68.7500"), "110 lost of 160"


@pytest.mark.parametrize(
    ("days", "simple"),
    [
        ([("100", "100"), ("110", "0"), ("0", "-110")], "10"),  # all withdrawn, with its gain
        ([("200", "100"), ("50", "-150")], "100"),  # more withdrawn than put in
        ([("100", "100"), ("200", "0"), ("101", "-99")], "100"),
        ([("100", "100"), ("0", "-105"), ("100", "100"), ("0", "-105")], "10"),  # the same 100 twice: 10 in all
        ([("100", "100"), ("50", "0"), ("0", "-50")], "-50"),
    ],
)
def test_the_simple_return_counts_the_most_that_was_put_in(days: list[tuple[str, str]], simple: str) -> None:
    found = measure_all(series(*days)).simple
    assert value_and_reason(found) == (Decimal(simple).quantize(Decimal("1.0000")), None)
    assert found.method == "simple_gain_over_largest_net_capital"


def test_several_money_weighted_returns_are_all_told() -> None:
    # 1 comes in, 2.3 go out after a year, 1.32 come in after two and are lost at once: 10 % and 20 % both balance.
    days = [daily_value(FIRST, "1", "1"), daily_value(FIRST + 364 * DAY, "0", "-2.3")]
    days.append(daily_value(FIRST + 730 * DAY, "0", "1.32"))
    found = measure_all(days)
    assert value_and_reason(found.money_weighted_annualised) == (None, "several_rates")
    assert found.money_weighted_annualised.candidates == (Decimal("10.0000"), Decimal("20.0000"))
    assert len(found.money_weighted.candidates) == 2
    assert found.time_weighted.candidates == ()


def test_the_money_weighted_return_is_the_rate_at_which_the_payments_balance() -> None:
    # 100 come in, 100 more after 365 days, 231 are there after 730: with x a year's growth 100 x² + 100 x = 231,
    # x = (-1 + √(1 + 9.24)) / 2 = (-1 + 3.2) / 2 = 1.1. Over the two years that is 1.1² - 1 = 21 %.
    first = date(2023, 1, 2)  # what comes in counts from the start of its day, the end of 1 January
    days = [
        daily_value(first, "100", "100"),
        daily_value(first + 365 * DAY, "205", "100"),
        daily_value(first + 729 * DAY, "231"),
    ]
    found = measure_all(days)
    assert found.money_weighted_annualised.value == Decimal("10.0000")
    assert found.money_weighted.value == Decimal("21.0000")
    assert found.money_weighted_annualised.method == "xirr_actual_365"
    # Time-weighted: 100 / 100, then 205 / (100 + 100), then 231 / 205; chained 231 / 200.
    assert found.time_weighted.value == Decimal("15.5000")


def test_a_total_loss_is_minus_100_percent() -> None:
    found = measure_all(series(("100", "100"), ("0", "0")))
    assert found.money_weighted.value == -100
    assert found.time_weighted.value == -100


def test_below_a_year_nothing_is_annualised() -> None:
    found = measure_all(series(("100", "100"), ("110", "0")))
    assert value_and_reason(found.time_weighted_annualised) == (None, "shorter_than_a_year")
    assert value_and_reason(found.money_weighted_annualised) == (None, "shorter_than_a_year")


def test_from_a_year_on_returns_are_annualised_by_calendar_days() -> None:
    days = [daily_value(FIRST, "100", "100"), daily_value(FIRST + 729 * DAY, "121")]
    assert measure_all(days).time_weighted_annualised.value == Decimal("10.0000"), "21 % in 730 days"


def test_a_growth_too_large_to_tell_is_no_number() -> None:
    found = measure_all(series(("0.01", "0.01"), ("999999999999", "0")))
    assert value_and_reason(found.time_weighted) == (None, "too_large")
    assert round_figure(float("nan"), FigureUnit.RATIO) is None
    assert round_figure(float("inf"), FigureUnit.PERCENT) is None


def test_the_benchmark_is_measured_over_the_same_days_through_its_splits() -> None:
    # 100 before the first day, 33 after a split of four for one: 132 of old, 32 % up. The portfolio made 21 %.
    split = Split(datetime.combine(FIRST + DAY, datetime.min.time(), UTC), Decimal(4), Decimal(1))
    index = Benchmark("INDEX", {FIRST - 3 * DAY: Decimal(100), FIRST + DAY: Decimal(33)}, [split])
    found = measure_all(series(("110", "100"), ("121", "0")), index)
    assert found.benchmark is not None
    assert found.excess is not None
    assert found.benchmark.value == Decimal("32.0000")
    assert found.benchmark.method == "price_return"
    assert found.excess.value == Decimal("-11.0000")
    assert found.excess.method == "time_weighted_total_return_less_benchmark_price_return"


def test_stored_dividends_make_the_return_of_the_benchmark_a_total_return() -> None:
    # 100, then 49 with 1 of dividend after two for one: (49 + 1) * 2 = 100; then 49.98, 2 % more. The price fell.
    split = Split(datetime.combine(FIRST, datetime.min.time(), UTC), Decimal(2), Decimal(1))
    closes = {FIRST - DAY: Decimal(100), FIRST: Decimal(49), FIRST + DAY: Decimal("49.98")}
    dividends = {FIRST - DAY: Decimal(5), FIRST: Decimal(1), FIRST + 2 * DAY: Decimal(7)}
    index = Benchmark("INDEX", closes, [split], dividends)
    found = measure_all(series(("110", "100"), ("121", "0")), index)
    assert found.benchmark is not None
    assert found.excess is not None
    assert (found.benchmark.value, found.benchmark.method) == (Decimal("2.0000"), "total_return")
    assert found.benchmark.basis == "last_close_split_adjusted,dividends_reinvested_at_close_of_ex_day:INDEX"
    assert (found.excess.value, found.excess.method) == (
        Decimal("19.0000"),
        "time_weighted_total_return_less_benchmark_total_return",
    )


def test_a_portfolio_of_the_benchmark_with_its_dividends_has_no_excess() -> None:
    # One unit of 100, 98 on the ex-day of 2 that arrive as cash the same day, 99 at the end with the 2 as cash.
    days = series(("100", "100"), ("100", "0"), ("101.0204081632653061224489796", "0"))
    closes = {FIRST - DAY: Decimal(100), FIRST: Decimal(100), FIRST + DAY: Decimal(98), FIRST + 2 * DAY: Decimal(99)}
    index = Benchmark("INDEX", closes, dividends={FIRST + DAY: Decimal(2)})
    found = measure_all(days, index)
    assert found.excess is not None
    assert found.excess.value == 0
    assert index.daily_returns([FIRST, FIRST + DAY]) == [0]


@pytest.mark.parametrize("closes", [{}, {FIRST: Decimal(1)}, {FIRST - 30 * DAY: Decimal(1), FIRST + DAY: Decimal(2)}])
def test_a_benchmark_without_a_close_near_an_end_of_the_window_has_no_return(closes: dict[date, Decimal]) -> None:
    found = measure_all(series(("110", "100"), ("121", "0")), Benchmark("INDEX", closes))
    assert found.benchmark is not None
    assert found.excess is not None
    assert value_and_reason(found.benchmark) == value_and_reason(found.excess) == (None, "no_benchmark_close")
    assert measure_all([], Benchmark("INDEX", closes)).benchmark is not None


daily = st.lists(st.integers(-500, 500).map(lambda units: Decimal(units).scaleb(-4)), min_size=1, max_size=10)


def evolved(returns: Sequence[Decimal], shares: Sequence[Decimal]) -> list[DailyValue]:
    """Return a portfolio that starts with 1,000 and earns the returns, with flows as shares of its value."""
    found, value = [], Decimal(0)
    for place, (earned, share) in enumerate(zip(returns, shares, strict=False)):
        flow = value * share if place else Decimal(1000)
        value = (value + max(flow, NOTHING)) * (1 + earned) + min(flow, NOTHING)
        found.append(daily_value(FIRST + place * DAY, value, flow))
    return found


shares = st.lists(st.integers(-40, 300).map(lambda percent: Decimal(percent) / 100), min_size=10, max_size=10)


def time_weighted_of(days: Sequence[DailyValue]) -> Figure:
    """Return the time-weighted return of all days."""
    values = select_window(days, Window(Span.ALL, FIRST - DAY, days[-1].day))
    return time_weighted_return(values, compute_daily_returns(values))


@given(daily, shares, shares)
def test_the_size_of_flows_never_changes_the_time_weighted_return(
    returns: list[Decimal], one: list[Decimal], other: list[Decimal]
) -> None:
    first, second = time_weighted_of(evolved(returns, one)), time_weighted_of(evolved(returns, other))
    assert first == second
    assert first.value is not None
    assert float(first.value) / 100 == pytest.approx(prod(1 + float(share) for share in returns) - 1, abs=1e-6)


@given(daily)
def test_with_a_single_deposit_all_three_returns_are_the_same(returns: list[Decimal]) -> None:
    found = measure_all(evolved(returns, [NOTHING] * 10))
    values = [found.time_weighted.value, found.money_weighted.value, found.simple.value]
    assert None not in values
    present = [value for value in values if value is not None]
    assert max(present) - min(present) <= Decimal("0.0001"), "one unit of rounding"


@given(daily, shares)
def test_a_window_never_loses_money_between_value_flow_and_gain(returns: list[Decimal], flows: list[Decimal]) -> None:
    days = evolved(returns, flows)
    part = select_window(days, Window(Span.CUSTOM, FIRST + 3 * DAY, FIRST + 9 * DAY))
    with localcontext(prec=60):  # sums of three round in the 28th place, each order of them in its own way
        missing = part.opening_value + part.net_flow + part.gain - part.closing_value
    assert abs(missing) < Decimal("1E-18")


def test_the_line_of_a_benchmark_takes_the_same_deposits_and_withdrawals_through_its_splits() -> None:
    # 1,000 at 100. 500 come in, then 4 % up (26 after four for one): 1,560. Half of a percent down, 60 go out: 1,492.2.
    split = Split(datetime.combine(FIRST + DAY, datetime.min.time(), UTC), Decimal(4), Decimal(1))
    closes = {FIRST + DAY: Decimal(26), FIRST: Decimal(100), FIRST + 2 * DAY: Decimal("25.87")}
    days = series(("1000", "900"), ("1400", "500"), ("1300", "-60"), ("1300", "-2000"), ("100", "100"))
    line = Benchmark("INDEX", closes, [split]).invest_flows(days)
    assert line == {FIRST: 1000, FIRST + DAY: 1560, FIRST + 2 * DAY: Decimal("1492.2")}, "all of day is withdrawn then"
    assert Benchmark("INDEX", {}).invest_flows(days) == {}
    assert list(Benchmark("INDEX", {FIRST + 2 * DAY: Decimal(7)}).invest_flows(days)) == [FIRST + 2 * DAY]


@given(daily, shares)
def test_a_benchmark_that_moves_as_the_portfolio_does_has_its_line(
    returns: list[Decimal], flows: list[Decimal]
) -> None:
    days, price, closes = evolved(returns, flows), Decimal(100), {}
    for day, earned in zip(days, returns, strict=False):
        price *= 1 + earned
        closes[day.day] = price
    line = Benchmark("SAME", closes).invest_flows(days)
    assert list(line) == [day.day for day in days]
    assert [float(worth) for worth in line.values()] == pytest.approx([float(day.value) for day in days])
