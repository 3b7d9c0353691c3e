"""The internal rate of return equals pyxirr, finds all rates of known polynomials, and has a true reason otherwise."""

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from math import fsum, inf, log1p
from random import Random
from time import process_time

import numpy
import pytest
import pyxirr
from hypothesis import assume, given
from hypothesis import strategies as st

from trimtab.analytics.domain.daily_value import Flow
from trimtab.analytics.domain.exponential_roots import find_roots
from trimtab.analytics.domain.internal_rate import Growth, solve_growth

DAY = timedelta(days=1)
FIRST = date(2006, 1, 2)
TWENTY_YEARS = 7305


def yearly(*amounts: str) -> list[Flow]:
    """Return payments 365 days apart."""
    return [Flow(FIRST + place * 365 * DAY, Decimal(amount)) for place, amount in enumerate(amounts)]


def paid(*payments: tuple[int, str]) -> list[Flow]:
    """Return payments of a day, counted from the first, and an amount."""
    return [Flow(FIRST + day * DAY, Decimal(amount)) for day, amount in payments]


def oracle(payments: Sequence[Flow]) -> float:
    """Return the rate of pyxirr; fails where pyxirr finds none."""
    rate = pyxirr.xirr([flow.day for flow in payments], [float(flow.amount) for flow in payments])
    assert rate is not None
    return rate


def test_the_rate_of_a_known_example_is_found() -> None:
    # The example of the XIRR function in spreadsheets: 37.3362535 %.
    days = [date(2008, 1, 1), date(2008, 3, 1), date(2008, 10, 30), date(2009, 2, 15), date(2009, 4, 1)]
    amounts = [-10000, 2750, 4250, 3250, 2750]
    payments = [Flow(day, Decimal(amount)) for day, amount in zip(days, amounts, strict=True)]
    assert solve_growth(payments).annual_rate == pytest.approx(0.373362535, abs=1e-8)
    assert solve_growth(payments).annual_rate == pytest.approx(oracle(payments), abs=1e-10)


@pytest.mark.parametrize(
    ("payments", "rate"),
    [
        (paid((0, "-10000"), (365, "870"), (730, "-1"), (1095, "0.087"), (7305, "0")), -0.913),
        (paid((0, "-1000"), (365, "50"), (730, "-1"), (7305, "0.01")), -0.43492370692),
        (paid((0, "-1"), (365, "1000000"), (730, "-1"), (1095, "1000000")), 999_999),
    ],
)
def test_a_rate_far_from_zero_is_found_over_twenty_years(payments: list[Flow], rate: float) -> None:
    found = solve_growth(payments, FIRST + TWENTY_YEARS * DAY)
    assert found.reason is None
    assert found.annual_rate == pytest.approx(rate, rel=1e-6)
    assert found.annual_rate == pytest.approx(oracle(payments), rel=1e-6)


amounts = st.integers(1, 10**7).map(lambda cents: Decimal(cents).scaleb(-2))


@given(st.dictionaries(st.integers(0, TWENTY_YEARS - 1), amounts, min_size=1, max_size=20), amounts)
def test_the_rate_of_deposits_and_a_final_value_equals_pyxirr(deposits: dict[int, Decimal], value: Decimal) -> None:
    payments = [Flow(FIRST + day * DAY, -amount) for day, amount in sorted(deposits.items())]
    payments.append(Flow(FIRST + TWENTY_YEARS * DAY, value))
    found = solve_growth(payments)
    assume(abs(found.logs[0]) < 200)  # beyond that, the yearly rate is more than a thousandfold
    theirs = pyxirr.xirr([flow.day for flow in payments], [float(flow.amount) for flow in payments])
    assume(theirs is not None)
    assert found.annual_rate == pytest.approx(theirs, rel=1e-6, abs=1e-6)


@given(
    st.lists(st.floats(-0.04, 0.05), min_size=30, max_size=60),
    st.lists(st.sampled_from([-300, 0, 0, 250, 2000]), min_size=60, max_size=60),
)
def test_the_rate_of_a_portfolio_with_deposits_and_withdrawals_equals_pyxirr(
    returns: list[float], flows: list[int]
) -> None:
    value, payments = Decimal(1000), paid((0, "-1000"))
    for month, (earned, flow) in enumerate(zip(returns, flows, strict=False), 1):
        value *= 1 + Decimal(earned)
        moved = Decimal(max(flow, -int(value / 2)))
        value += moved
        payments.append(Flow(FIRST + 30 * month * DAY, -moved))
    payments.append(Flow(FIRST + (30 * len(returns) + 1) * DAY, value))
    found = solve_growth(payments)
    assert found.reason is None, "money that was never more than taken out has one rate"
    assert found.annual_rate == pytest.approx(oracle(payments), rel=1e-7, abs=1e-9)


growths = st.integers(-180, 180).map(lambda log: numpy.exp(log / 200))


@given(st.lists(growths, min_size=1, max_size=4, unique=True), st.lists(growths, max_size=2))
def test_all_rates_of_a_known_polynomial_are_found(roots: list[float], pairs: list[float]) -> None:
    """Each of `roots` is a yearly growth; a pair adds two complex roots, which balance nothing."""
    polynomial = numpy.poly(roots)
    for modulus in pairs:
        polynomial = numpy.polymul(polynomial, [1, -modulus, modulus * modulus])
    degree = len(polynomial) - 1
    terms = [((degree - place) / degree, float(amount)) for place, amount in enumerate(polynomial)]
    close = min((b / a for a, b in zip(sorted(roots), sorted(roots)[1:], strict=False)), default=inf)
    assume(close > 1.02)
    assert find_roots(terms) == pytest.approx([degree * log1p(root - 1) for root in sorted(roots)], rel=1e-4, abs=1e-4)


@given(st.lists(st.integers(-1000, 1000).map(str), min_size=2, max_size=12))
def test_every_told_rate_balances_the_payments_and_a_change_of_sign_is_never_missed(amounts: list[str]) -> None:
    payments = yearly(*amounts)
    found = solve_growth(payments)
    numbers = [float(flow.amount) for flow in payments]
    shown = [number for number in numbers if number]
    if shown and shown[0] < 0 < shown[-1]:
        assert found.logs, "below zero at one end and above at the other"
    for rate in found.annual_rates:
        if -1 < rate < 1e6:
            terms = [number * (1 + rate) ** -place for place, number in enumerate(numbers)]
            assert abs(fsum(terms)) <= 1e-6 * fsum(map(abs, terms))


@pytest.mark.parametrize(
    ("payments", "reason"),
    [
        (yearly("-1", "2", "-2"), "no_rate"),  # -x² + 2x - 2 is below zero everywhere
        (yearly("1", "2"), "no_rate"),
        ([Flow(FIRST, Decimal(2)), Flow(FIRST + DAY, Decimal(0))], "no_time"),
        ([], "too_few_observations"),
        ([Flow(FIRST, Decimal(-1)), Flow(FIRST, Decimal(2))], "no_time"),
    ],
)
def test_payments_that_no_rate_balances_say_so(payments: list[Flow], reason: str) -> None:
    found = solve_growth(payments)
    assert (found.factor, found.reason, found.rate, found.annual_rate) == (None, reason, None, None)
    assert found.logs == ()


def test_several_rates_are_all_told() -> None:
    found = solve_growth(yearly("-1", "2.3", "-1.32"))
    assert (found.reason, found.factor, found.annual_rate) == ("several_rates", None, None)
    assert found.annual_rates == pytest.approx((0.1, 0.2))
    assert found.rates == pytest.approx((0.21, 0.44)), "over the two years"


def test_deposits_and_withdrawals_that_balance_at_one_rate_only_have_it() -> None:
    # -100 x³ + 50 x² - 10 x + 83.6 is 0 at x = 1.1: -133.1 + 60.5 - 11 + 83.6. It falls everywhere, though the sign of
    # the payments changes three times.
    assert solve_growth(yearly("-100", "50", "-10", "83.6")).annual_rate == pytest.approx(0.1, abs=1e-12)


def test_a_rate_that_touches_zero_is_found_and_one_beyond_all_numbers_is_infinite() -> None:
    assert solve_growth(yearly("-1", "2", "-1")).annual_rate == pytest.approx(0, abs=1e-7), "-(x - 1)²"
    assert solve_growth(yearly("1", "-2", "1")).annual_rate == pytest.approx(0, abs=1e-7), "(x - 1)²"
    doubled_in_a_day = paid((0, "-1"), (1, "2"))
    assert solve_growth(doubled_in_a_day).factor == pytest.approx(2)
    assert solve_growth(paid((0, "-1"), (1, "1000"))).annual_rate == inf, "1000 to the 365th"
    later = solve_growth(doubled_in_a_day, FIRST + 1260 * DAY)
    assert (later.reason, later.factor) == (None, inf), "2 to the 1260th"
    assert later.annual_rate == pytest.approx(2.0**365 - 1)


def test_a_total_loss_is_minus_100_percent() -> None:
    assert solve_growth(yearly("-5"), FIRST + 365 * DAY).annual_rate == -1
    assert solve_growth(yearly("-5"), FIRST + 365 * DAY) == Growth((-inf,), 365)


@pytest.mark.parametrize("kind", ["traded every week", "in and out at random"])
def test_twenty_years_of_daily_payments_take_about_a_second_at_most(kind: str) -> None:
    random, count = Random(7), 5000  # noqa: S311 - no secret
    if kind == "in and out at random":
        numbers = [random.gauss(0, 1) for _ in range(count)]
    else:
        numbers = [(-1000, 1000 * (1 + random.gauss(0.002, 0.02)))[place % 2] for place in range(count)]
    began = process_time()
    found = solve_growth([Flow(FIRST + place * DAY, Decimal(number)) for place, number in enumerate(numbers)])
    assert process_time() - began < 5, "below 1; the limit is there for a slip to another order"
    assert found.reason == (None if kind == "traded every week" else "several_rates")
