"""Valuation of a portfolio at given prices."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.portfolios.rebalancing.drift import CASH
from trimtab.portfolios.rebalancing.valuation import value

numbers = st.integers(1, 10**21 - 1).map(lambda units: Decimal(units).scaleb(-9))
holdings = st.dictionaries(st.sampled_from("abcdefgh"), st.tuples(numbers, numbers), max_size=8)


def test_values_are_unrounded_and_include_cash() -> None:
    found = value(
        {"a": Decimal("1.5"), "b": Decimal("0.000000001")}, {"a": Decimal(50), "b": Decimal("0.5")}, Decimal(25)
    )
    assert found.values == {"a": Decimal(75), "b": Decimal("5E-10"), CASH: Decimal(25)}
    assert found.total == Decimal("100.0000000005")
    assert found.weights == {"a": Decimal(75), "b": Decimal(0), CASH: Decimal(25)}


@given(holdings, numbers)
def test_weights_sum_to_100_and_values_to_the_total_however_large(
    held: dict[str, tuple[Decimal, Decimal]], cash: Decimal
) -> None:
    found = value(
        {symbol: pair[0] for symbol, pair in held.items()}, {symbol: pair[1] for symbol, pair in held.items()}, cash
    )
    exact = {name: Fraction(quantity) * Fraction(price) for name, (quantity, price) in held.items()} | {
        CASH: Fraction(cash)
    }
    total = sum(exact.values())
    assert {name: Fraction(worth) for name, worth in found.values.items()} == exact
    assert Fraction(found.total) == total
    assert sum(found.weights.values()) == 100
    for name, weight in found.weights.items():
        assert abs(Fraction(weight) - exact[name] * 100 / total) < Fraction(1, 10_000), "less than a unit off"


def test_a_portfolio_worth_nothing_has_no_weights() -> None:
    found = value({"a": Decimal(0)}, {}, Decimal(0))
    assert found.total == 0
    assert not found.weights
    assert not found.quantities


@pytest.mark.parametrize(
    ("quantity", "price"),
    [("1", None), ("1", "0"), ("1", "-1"), ("-1", "1")],
)
def test_missing_prices_and_negative_quantities_are_refused(quantity: str, price: str | None) -> None:
    prices = {"a": Decimal(price)} if price else {}
    with pytest.raises(ValueError, match=r"must not be negative|needs a price"):
        value({"a": Decimal(quantity)}, prices, Decimal(9))


def test_overdrawn_cash_has_a_negative_weight_and_may_outweigh_everything() -> None:
    found = value({"a": Decimal(10)}, {"a": Decimal(10)}, Decimal("-0.76"))
    assert found.total == Decimal("99.24")
    assert sum(found.weights.values()) == 100
    assert found.weights["$cash"] < 0
    assert not value({"a": Decimal(1)}, {"a": Decimal(1)}, Decimal(-1)).weights
