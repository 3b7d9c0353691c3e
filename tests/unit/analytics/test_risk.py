"""Risk figures equal those of empyrical on real index data; undefined figures have a reason.

The data are the closes of the S&P 500 and the NASDAQ Composite from 1999 to 2018 that the package arch ships.
"""

import csv
import gzip
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache
from importlib.metadata import distribution
from itertools import accumulate, pairwise
from math import sqrt
from time import process_time

import empyrical  # type: ignore[import-untyped]
import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats  # type: ignore[import-untyped]

from trimtab.analytics.domain import statistics
from trimtab.analytics.domain.benchmark import Benchmark
from trimtab.analytics.domain.daily_value import CASH, DailyValue
from trimtab.analytics.domain.figures import Figure, FigureUnit
from trimtab.analytics.domain.performance import measure_performance
from trimtab.analytics.domain.risk import RiskParameters, herfindahl_index, measure_risk
from trimtab.analytics.domain.series import compute_daily_values
from trimtab.analytics.domain.windows import Span, Window, resolve_window
from trimtab.contracts.portfolios import CashMovement
from trimtab.kernel.errors import Invalid

DAY = timedelta(days=1)
FIRST = date(2026, 3, 2)
CLOSE = 1e-10
SLICES = [(0, 5031), (0, 1260), (2200, 3460), (4000, 4060), (700, 702)]
"""Of 20 years of returns: all, the dot-com bust, the crisis of 2008, a quarter, two days."""


@cache
def closes(index: str) -> dict[date, float]:
    """Return the closes of the index by day."""
    path = distribution("arch").locate_file(f"arch/data/{index}/{index}.csv.gz")
    with gzip.open(str(path), "rt") as file:
        rows = list(csv.DictReader(file))
    days = [datetime.strptime(row["Date"], "%m/%d/%Y").replace(tzinfo=UTC).date() for row in rows]
    return {day: float(row["Close"]) for day, row in zip(days, rows, strict=True)}


@cache
def returns(index: str = "sp500") -> list[float]:
    """Return the daily returns of the index."""
    return [after / before - 1 for before, after in pairwise(closes(index).values())]


def assert_same(ours: float | None, theirs: float) -> None:
    """Assert that both numbers agree to 10 digits."""
    assert ours is not None
    assert ours == pytest.approx(float(theirs), rel=CLOSE, abs=CLOSE)


@pytest.mark.parametrize("part", SLICES)
@pytest.mark.parametrize("yearly", [0.0, 0.03])
def test_ratios_equal_empyrical(part: tuple[int, int], yearly: float) -> None:
    ours = returns()[slice(*part)]
    theirs, daily = numpy.array(ours), (1 + yearly) ** (1 / 252) - 1
    assert_same(statistics.volatility(ours), empyrical.annual_volatility(theirs))
    assert_same(statistics.sharpe(ours, yearly), empyrical.sharpe_ratio(theirs, risk_free=daily))
    assert_same(statistics.sortino(ours, yearly), empyrical.sortino_ratio(theirs, required_return=daily))
    assert_same(statistics.max_depth(ours), -empyrical.max_drawdown(theirs))
    assert_same(statistics.annual_return(ours), empyrical.annual_return(theirs))
    assert_same(statistics.calmar(ours), empyrical.calmar_ratio(theirs))


@pytest.mark.parametrize("part", SLICES)
@pytest.mark.parametrize("confidence", ["0.9", "0.95", "0.975", "0.99"])
def test_losses_of_the_tail_equal_empyrical_and_the_normal_ones_scipy(part: tuple[int, int], confidence: str) -> None:
    ours, tail = returns()[slice(*part)], RiskParameters(Decimal(confidence)).tail
    theirs = numpy.array(ours)
    assert_same(statistics.historical_var(ours, tail), -empyrical.value_at_risk(theirs, cutoff=tail))
    assert_same(statistics.historical_cvar(ours, tail), -empyrical.conditional_value_at_risk(theirs, cutoff=tail))
    normal = stats.norm(theirs.mean(), theirs.std(ddof=1))
    assert_same(statistics.normal_var(ours, tail), -normal.ppf(tail))
    assert_same(statistics.normal_cvar(ours, tail), -normal.expect(lb=-numpy.inf, ub=normal.ppf(tail)) / tail)


@pytest.mark.parametrize("part", SLICES)
def test_beta_and_correlation_equal_empyrical_and_numpy(part: tuple[int, int]) -> None:
    ours, index = returns("nasdaq")[slice(*part)], returns()[slice(*part)]
    assert_same(statistics.beta(ours, index), empyrical.beta(numpy.array(ours), numpy.array(index)))
    assert_same(statistics.correlation(ours, index), numpy.corrcoef(ours, index)[0, 1])


@given(st.integers(0, 5000), st.integers(2, 300))
def test_any_part_of_the_data_agrees(start: int, length: int) -> None:
    ours = returns()[start : start + length]
    theirs = numpy.array(ours)
    if len(ours) < 2 or min(ours) >= 0:
        return
    assert_same(statistics.sharpe(ours), empyrical.sharpe_ratio(theirs))
    assert_same(statistics.sortino(ours), empyrical.sortino_ratio(theirs))
    assert_same(statistics.max_depth(ours), -empyrical.max_drawdown(theirs))
    assert_same(statistics.historical_var(ours, 0.05), -empyrical.value_at_risk(theirs))
    assert_same(statistics.historical_cvar(ours, 0.05), -empyrical.conditional_value_at_risk(theirs))


def test_the_deepest_fall_of_the_index_has_the_days_that_history_knows() -> None:
    days = list(closes("sp500"))
    found = statistics.max_drawdown(returns(), days[1:], days[0])
    assert found.peak == date(2007, 10, 9)
    assert found.trough == date(2009, 3, 9)
    assert found.recovery == date(2013, 3, 28)
    assert found.depth == pytest.approx(1 - 676.530029 / 1565.150024)


def test_a_fall_from_the_start_has_the_opening_day_as_its_peak_and_may_not_recover() -> None:
    found = statistics.max_drawdown([-0.1, -0.1, 0.05], [FIRST + DAY, FIRST + 2 * DAY, FIRST + 3 * DAY], FIRST)
    assert (found.peak, found.trough, found.recovery) == (FIRST, FIRST + 2 * DAY, None)
    assert found.depth == pytest.approx(0.19)
    assert statistics.max_drawdown([0.1], [FIRST]) == statistics.Drawdown(0.0)


def test_reaching_the_old_peak_again_is_a_recovery_whatever_rounding_says() -> None:
    for prices in ([100.0, 90.0, 100.0], [3.0, 2.9, 2.7, 3.0], [0.7, 0.1, 0.7]):
        numbers = [after / before - 1 for before, after in pairwise(prices)]
        days = [FIRST + place * DAY for place in range(1, len(prices))]
        assert statistics.max_drawdown(numbers, days, FIRST).recovery == days[-1], prices


changes = st.floats(-1, 3, allow_nan=False)


@given(st.lists(changes, min_size=1, max_size=60))
def test_a_drawdown_is_a_share_and_its_days_are_in_order(numbers: list[float]) -> None:
    days = [FIRST + place * DAY for place in range(1, len(numbers) + 1)]
    found = statistics.max_drawdown(numbers, days, FIRST)
    assert 0 <= found.depth <= 1
    assert all(0 <= depth <= 1 for depth in statistics.depths(numbers))
    if found.depth:
        assert found.peak is not None
        assert found.trough is not None
        assert found.peak < found.trough
        assert found.recovery is None or found.recovery > found.trough


@given(st.dictionaries(st.text(max_size=3), st.integers(1, 10**12).map(Decimal), min_size=1, max_size=20))
def test_concentration_is_between_even_and_one(weights: dict[str, Decimal]) -> None:
    found = herfindahl_index(weights)
    assert found is not None
    slack = Decimal("1e-24")
    assert 1 / Decimal(len(weights)) - slack <= found <= 1 + slack


def test_concentration_of_an_even_portfolio_is_one_by_its_number() -> None:
    assert herfindahl_index({name: Decimal(25) for name in "abcd"}) == Decimal("0.25")
    assert herfindahl_index({"a": Decimal(3)}) == 1
    assert herfindahl_index({}) is None


def test_numbers_without_an_answer_are_none_and_never_nan() -> None:
    flat, rising = [0.001] * 30, [0.001, 0.002, 0.003]
    assert statistics.sharpe(flat) is None
    assert statistics.sortino(rising) is None
    assert statistics.calmar(rising) is None
    assert statistics.beta(rising, [0.1, 0.1, 0.1]) is None
    assert statistics.correlation([0.1, 0.1, 0.1], rising) is None
    for statistic in (statistics.volatility, statistics.sharpe, statistics.sortino):
        assert statistic([0.1]) is None
    assert statistics.annual_return([]) is None
    assert statistics.historical_var([], 0.05) is None
    assert statistics.historical_cvar([], 0.05) is None
    assert statistics.normal_var([0.1], 0.05) is None


@cache
def held_index(days: int) -> tuple[DailyValue, ...]:
    """Return the last days of a portfolio of one unit of the NASDAQ and 1,000 of cash."""
    prices = {day: Decimal(str(price)) for day, price in list(closes("nasdaq").items())[-days:]}
    first = min(prices)
    start = DailyValue(first, prices[first], Decimal(0), Decimal(0), {}, {"IXIC": Decimal(1)}, {"IXIC": prices[first]})
    came_in = CashMovement(datetime.combine(first + DAY, datetime.min.time(), UTC), Decimal(1000), is_external=True)
    return start, *compute_daily_values([], [came_in], {}, {"IXIC": prices}, prices, start=start)


def test_the_report_has_the_figures_of_the_window_with_their_places_and_names() -> None:
    series = held_index(1261)
    over = resolve_window(Span.CUSTOM, series[-1].day, first=series[0].day)
    parameters = RiskParameters(Decimal("0.99"), 10, Decimal("0.02"))
    index = Benchmark("SPX", {day: Decimal(str(price)) for day, price in closes("sp500").items()})
    found = measure_risk(series, over, parameters, index)
    daily = [
        float(after.value / (before.value + after.flow)) - 1 for before, after in pairwise(series)
    ]  # what came in counts from the start of its day
    theirs = numpy.array(daily)
    assert found.volatility.value == pytest.approx(
        Decimal(empyrical.annual_volatility(theirs) * 100), abs=Decimal("1e-4")
    )
    assert found.sharpe.value == pytest.approx(
        Decimal(empyrical.sharpe_ratio(theirs, risk_free=1.02 ** (1 / 252) - 1)), abs=Decimal("1e-6")
    )
    assert found.historical_var.value == pytest.approx(
        Decimal(-empyrical.value_at_risk(theirs, 0.01) * 100 * sqrt(10)), abs=Decimal("1e-4")
    )
    assert found.historical_var.method == (
        "historical_linear_percentile,confidence=0.99,horizon_days=10,square_root_of_time"
    )
    assert found.beta is not None
    assert found.beta.value == pytest.approx(
        Decimal(empyrical.beta(theirs, numpy.array(returns()[-1260:]))), abs=Decimal("1e-6")
    )
    assert found.sharpe.unit is FigureUnit.RATIO
    assert found.volatility.window == over
    assert found.volatility.observations == found.beta.observations == 1260
    assert found.concentration.value == 1, "cash is no holding"
    assert found.loss_in_money(found.historical_var, "USD") == pytest.approx(
        series[-1].value * (found.historical_var.value or 0) / 100, abs=Decimal("0.005")
    )
    assert found.drawdown is not None
    assert found.drawdown.trough == date(2018, 12, 24)
    assert found.current_drawdown.value is not None
    assert found.max_drawdown.value is not None
    assert 0 < found.current_drawdown.value < found.max_drawdown.value


def test_a_tail_that_holds_no_day_is_not_guessed() -> None:
    series = held_index(20)
    over = Window(Span.ALL, series[0].day, series[-1].day)
    found = measure_risk(series, over, RiskParameters())
    assert (found.historical_var.value, found.historical_var.reason) == (None, "too_few_observations")
    assert found.historical_var.observations == 19
    assert found.normal_var.value is not None
    assert measure_risk(
        held_index(21), Window(Span.ALL, held_index(21)[0].day, over.last), RiskParameters()
    ).historical_var.value
    assert found.beta is None
    assert found.loss_in_money(found.historical_var, "USD") is None


def withdrawn_and_invested_again(numbers: list[float], pause: int) -> tuple[list[DailyValue], list[DailyValue]]:
    """Return a portfolio with the returns, and the same with all money out in the middle, where a dividend arrives."""
    prices = list(accumulate(numbers, lambda price, change: price * (1 + Decimal(change)), initial=Decimal(1000)))
    days = [FIRST + place * DAY for place in range(len(prices) + pause)]
    half = len(prices) // 2
    zero, late = Decimal(0), Decimal("10.40")

    def value(day: date, amount: Decimal, flow: Decimal) -> DailyValue:
        return DailyValue(day, amount, amount, flow, {}, {}, {})

    whole = [value(day, price, zero) for day, price in zip(days, prices, strict=False)]
    first = [*whole[:half], value(days[half], zero, -prices[half])]
    empty = [value(day, late, zero) for day in days[half + 1 : half + pause]]
    back = value(days[half + pause], prices[half], prices[half] - late)
    rest = [value(day, price, zero) for day, price in zip(days[half + pause + 1 :], prices[half + 1 :], strict=True)]
    return whole, [*first, *empty, back, *rest]


@pytest.mark.parametrize("start", [0, 2200, 4000])
def test_a_late_dividend_without_capital_leaves_the_figures_of_empyrical(start: int) -> None:
    numbers = returns()[start : start + 250]
    whole, paused = withdrawn_and_invested_again(numbers, pause=3)
    over = Window(Span.CUSTOM, FIRST, FIRST + 999 * DAY)
    ours, performed = measure_risk(paused, over, RiskParameters()), measure_performance(paused, over)
    still = [0.0] * 2  # the day with nothing but the dividend, and the day of the deposit
    theirs = numpy.array([*numbers[:125], *still, *numbers[125:]])
    assert [day.gain for day in performed.returns.skipped] == [Decimal("10.40")]
    assert performed.time_weighted.value == pytest.approx(
        Decimal(float(empyrical.cum_returns_final(theirs) * 100)), abs=Decimal("1e-4")
    )
    assert performed.time_weighted.value == measure_performance(whole, over).time_weighted.value
    assert ours.max_drawdown.value == pytest.approx(
        Decimal(float(-empyrical.max_drawdown(theirs) * 100)), abs=Decimal("1e-4")
    )
    assert ours.volatility.value == pytest.approx(
        Decimal(float(empyrical.annual_volatility(theirs) * 100)), abs=Decimal("1e-4")
    )
    assert ours.sharpe.value == pytest.approx(Decimal(float(empyrical.sharpe_ratio(theirs))), abs=Decimal("1e-5"))


def flat(*values: str) -> list[DailyValue]:
    """Return consecutive days of a portfolio without flows."""
    return [
        DailyValue(FIRST + place * DAY, Decimal(value), Decimal(0), Decimal(0), {CASH: Decimal(100)}, {}, {})
        for place, value in enumerate(values)
    ]


def test_nothing_measured_is_none_with_its_reason() -> None:
    over = Window(Span.CUSTOM, FIRST, FIRST + 99 * DAY)
    index = Benchmark("SPX", {FIRST: Decimal(1)})
    empty, still = (
        measure_risk([], over, RiskParameters(), index),
        measure_risk(flat(*["5"] * 30), over, RiskParameters(), index),
    )
    broken = measure_risk(flat("5", "-1", "6"), over, RiskParameters(), index)
    assert (empty.volatility.value, empty.volatility.reason) == (None, "too_few_observations")
    assert empty.drawdown is None
    assert empty.concentration.reason == still.concentration.reason == "no_holdings"
    assert still.volatility.value == still.max_drawdown.value == 0
    assert [still.sharpe.reason, still.sortino.reason, still.calmar.reason] == [
        "no_variation",
        "no_downside",
        "no_drawdown",
    ]
    assert (broken.sharpe.value, broken.sharpe.reason, broken.drawdown) == (
        None,
        "loss_exceeds_capital",
        None,
    )
    wild = measure_risk(flat("0.0000001", "999999999999", *["1"] * 20), over, RiskParameters())
    for figure in (wild.volatility, wild.calmar):
        assert (figure.value, figure.reason) == (None, "too_large")
    assert broken.beta is not None
    assert still.beta is not None
    assert (broken.beta.reason, still.beta.reason) == ("loss_exceeds_capital", "too_few_observations")


def test_yearly_figures_need_twenty_returns() -> None:
    over = Window(Span.CUSTOM, FIRST, FIRST + 99 * DAY)
    values = ["100", "105", "103.95", *map(str, range(104, 122))]
    few, enough = (
        measure_risk(
            flat(*values[:days]),
            over,
            RiskParameters(),
            Benchmark("SPX", {day.day: day.value for day in flat(*values)}),
        )
        for days in (20, 21)
    )
    for name in ("volatility", "sharpe", "sortino", "calmar", "beta", "correlation"):
        short, figure = getattr(few, name), getattr(enough, name)
        assert (short.value, short.reason) == (None, "too_few_observations"), name
        if name not in {"beta", "correlation"}:
            assert figure.value is not None, name
            assert short.observations == 19
    assert few.max_drawdown.value == Decimal(1)


def test_a_day_without_a_close_of_the_benchmark_is_no_pair() -> None:
    series = held_index(101)
    full = {day: Decimal(str(price)) for day, price in closes("sp500").items()}
    gap = {day: price for day, price in full.items() if day != series[50].day}
    over = Window(Span.ALL, series[0].day, series[-1].day)
    found = measure_risk(series, over, RiskParameters(), Benchmark("SPX", gap))
    assert found.beta is not None
    assert found.beta.observations == 98, "neither the day itself nor the one after it"


@pytest.mark.parametrize(
    "parameters",
    [{"confidence": Decimal("0.4")}, {"confidence": Decimal(1)}, {"horizon_days": 0}, {"risk_free": Decimal(3)}],
)
def test_parameters_out_of_range_are_refused(parameters: dict[str, Decimal]) -> None:
    with pytest.raises(Invalid):
        RiskParameters(**parameters)  # type: ignore[arg-type]


wealth = st.lists(st.integers(0, 10**15).map(lambda units: Decimal(units).scaleb(-3)), max_size=40)


@given(wealth, st.integers(1, 60), st.sampled_from(["0.9", "0.95"]))
def test_any_series_has_figures_or_reasons_and_raises_nothing(values: list[Decimal], horizon: int, at: str) -> None:
    series = flat(*map(str, values))
    index = Benchmark("SPX", {day.day: day.value + 1 for day in series[::2]} | {FIRST: Decimal(1)})
    over = Window(Span.CUSTOM, FIRST, FIRST + 99 * DAY)
    found, performed = (
        measure_risk(series, over, RiskParameters(Decimal(at), horizon), index),
        measure_performance(series, over, index),
    )
    figures = [
        getattr(answer, name)
        for answer in (found, performed)
        for name in answer.__struct_fields__
        if isinstance(getattr(answer, name), Figure)
    ]
    assert len(figures) == 20
    for figure in figures:
        assert (figure.value is None) == (figure.reason is not None), figure
        assert figure.value is None or figure.value.is_finite()


def test_five_years_of_figures_take_a_fraction_of_a_second() -> None:
    series = held_index(1261)
    over = Window(Span.ALL, series[0].day, series[-1].day)
    began = process_time()
    measure_risk(series, over, RiskParameters())
    assert process_time() - began < 0.5, "about 0.01; the limit is there for a slip to another order"
