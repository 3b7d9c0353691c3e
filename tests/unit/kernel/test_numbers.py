"""Decimal numbers: parsing, writing, rounding and apportioning."""

import re
import time
from decimal import ROUND_FLOOR, ROUND_HALF_UP, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from trimtab.contracts.fields import Allocation, Percent, TargetAllocation
from trimtab.kernel import money
from trimtab.kernel.errors import Invalid

numbers = st.decimals(min_value=-(10**12) + 1, max_value=10**12 - 1, places=9)
HOSTILE = (
    *("1e400", "1E5", "NaN", "Infinity", "-Infinity", "sNaN", "1_0", "+1", ".5", "5.", "", " 1", "1 ", "1\n", "0x10"),
    *(
        "\u0661\u0662",
        "\u0967\u0968",
        "\uff11\uff12",
        "1,5",
        "--1",
        "1.2.3",
        "-",
        "1" * 13,
        "0." + "0" * 19,
        "9" * 100_000,
        "0." + "1" * 100_000,
    ),
)


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: repr(text[:12]))
def test_what_is_no_plain_ascii_number_is_refused_at_once(text: str) -> None:
    started = time.process_time()
    with pytest.raises(Invalid, match="plain digits"):
        money.parse_number(text)
    assert time.process_time() - started < 1  # `int(Decimal("1e1000000"))` took a minute


@pytest.mark.parametrize(("text", "places"), [("1.00001", 4), ("0.001", 2), ("-7.12345", 4)])
def test_more_decimals_than_a_kind_has_are_refused_and_not_rounded(text: str, places: int) -> None:
    with pytest.raises(Invalid, match=f"at most {places} decimals"):
        money.parse_number(text, places)


def test_zeros_behind_the_last_place_change_nothing_and_are_accepted() -> None:
    assert money.parse_number("10.000000", 4) == 10


@given(numbers)
def test_a_number_survives_being_written_and_read(number: Decimal) -> None:
    text = money.plain(number)
    assert money.parse_number(text) == number
    assert "E" not in text
    assert text != "-0"


@pytest.mark.parametrize(
    ("number", "text"), [("0.00", "0"), ("-0.0", "0"), ("1E+3", "1000"), ("0.50", "0.5"), ("100", "100")]
)
def test_the_shortest_text_is_written(number: str, text: str) -> None:
    assert money.plain(Decimal(number)) == text


@pytest.mark.parametrize(("number", "text"), [("0.00005", "0.0001"), ("0.00004", "0.0000"), ("-0.00005", "-0.0001")])
def test_percents_are_rounded_half_up(number: str, text: str) -> None:
    assert str(money.to_percent(Decimal(number))) == text


def test_a_percent_of_minus_zero_is_written_without_its_sign() -> None:
    assert f"{money.to_percent(Decimal('-0')):f}" == "0.0000"


@pytest.mark.parametrize(
    ("number", "rounding", "text"),
    [("2.345", ROUND_HALF_UP, "2.35"), ("2.345", ROUND_FLOOR, "2.34"), ("-2.345", ROUND_FLOOR, "-2.35")],
)
def test_the_rounding_may_be_chosen(number: str, rounding: str, text: str) -> None:
    assert str(money.to_places(Decimal(number), 2, rounding)) == text


def test_numbers_of_many_digits_are_rounded_exactly() -> None:
    assert money.to_money(Decimal("1" * 40 + ".005")) == Decimal("1" * 40 + ".01")


@pytest.mark.parametrize(
    ("number", "count"),
    [("1", 0), ("1.50", 1), ("0.000000001", 9), ("1E+2", 0), ("100", 0), ("1" * 40 + ".05", 2), ("-0.25", 2)],
)
def test_decimals_are_counted_without_trailing_zeros(number: str, count: int) -> None:
    assert money.count_decimals(Decimal(number)) == count


@pytest.mark.parametrize(
    ("number", "places", "text"),
    [("1.5", 2, "1.50"), ("1.5678", 2, "1.5678"), ("1.50", 0, "1.5"), ("1500", 0, "1500"), ("1E+3", 3, "1000.000")],
)
def test_a_text_has_the_stated_decimals_at_least(number: str, places: int, text: str) -> None:
    assert money.decimals_text(Decimal(number), places) == text


prices = st.decimals(min_value=0, max_value=money.HIGHEST_PRICE, places=9)


@given(prices, prices)
def test_texts_of_prices_sort_as_the_prices_do(one: Decimal, other: Decimal) -> None:
    texts = [money.sortable_price(price) for price in (one, other)]
    assert {len(text) for text in texts} == {22}
    assert (texts[0] < texts[1]) == (one < other)
    assert [Decimal(text) for text in texts] == [one, other]


def test_the_lowest_and_the_highest_price_have_a_text() -> None:
    assert money.sortable_price(Decimal(0)) == "000000000000.000000000"
    assert money.sortable_price(money.HIGHEST_PRICE) == "999999999999.999999999"


@pytest.mark.parametrize("price", ["-0.000000001", "1000000000000", "0.0000000001"])
def test_other_numbers_have_no_text_that_sorts(price: str) -> None:
    number = Decimal(price)
    message = f"price {number} must be 0 or more, with at most 12 digits before the point and 9 after it"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        money.sortable_price(number)


@pytest.mark.parametrize("text", ["", "abc", "NaN", "1e100", "1e-100", "0x1", "1e", "e1"])
def test_other_texts_are_no_json_numbers(text: str) -> None:
    with pytest.raises(Invalid):
        money.parse_json_number(text)


@pytest.mark.parametrize(
    ("weights", "normalised"),
    [
        (["33.333333333333336"] * 3, ["33.3334", "33.3333", "33.3333"]),
        (["50", "49.99"], ["50.005", "49.995"]),
        (["50", "50.01"], ["49.995", "50.005"]),
        (["100", "0"], ["100", "0"]),
        (["50", "49.989999"], None),
        (["50", "50.010001"], None),
        (["100.000001", "-0.000001"], None),
        ([], None),
    ],
)
def test_percentages_are_normalised_where_the_sum_is_within_a_hundredth_of_100(
    weights: list[str], normalised: list[str] | None
) -> None:
    found = money.normalise_percents({f"a{place}": Decimal(weight) for place, weight in enumerate(weights)})
    expected = None if normalised is None else [Decimal(weight) for weight in normalised]
    assert (None if found is None else list(found.values())) == expected
    assert found is None or all(count <= 4 for count in map(money.count_decimals, found.values()))


whole_units = st.integers(0, 10**10)


@given(
    whole_units,
    st.dictionaries(st.sampled_from("abcdefgh"), whole_units, min_size=1).filter(lambda weights: any(weights.values())),
    st.sampled_from([money.MONEY_PLACES, money.PERCENT_PLACES, money.QUANTITY_PLACES]),
)
def test_a_split_sums_to_its_total_and_no_part_is_a_unit_off(total: int, weights: dict[str, int], places: int) -> None:
    unit = Decimal(1).scaleb(-places)
    parts = money.apportion(total * unit, {name: weight * unit for name, weight in weights.items()}, places)
    assert sum(parts.values()) == total * unit
    for name, part in parts.items():
        assert abs(part / unit * sum(weights.values()) - total * weights[name]) < sum(weights.values())
        assert part == part.quantize(unit)


def test_a_split_gives_the_left_over_unit_to_the_largest_remainder_then_by_name() -> None:
    thirds = money.apportion(Decimal(1), {"b": Decimal(1), "a": Decimal(1), "c": Decimal(1)}, 2)
    assert thirds == {"a": Decimal("0.34"), "b": Decimal("0.33"), "c": Decimal("0.33")}
    assert money.apportion(Decimal("0.01"), {"a": Decimal(1), "b": Decimal(2)}, 2) == {"a": 0, "b": Decimal("0.01")}


percent: TypeAdapter[Decimal] = TypeAdapter(Percent)
drifted: TypeAdapter[dict[str, Decimal]] = TypeAdapter(Allocation)
target: TypeAdapter[dict[str, Decimal]] = TypeAdapter(TargetAllocation)


@pytest.mark.parametrize("value", [True, 1.5, None, [], "1e2", "NaN", "\u0661", Decimal("1E+20"), 10**13])
def test_a_field_takes_plain_numbers_and_texts_only(value: object) -> None:
    with pytest.raises(ValidationError):
        percent.validate_python(value)


@pytest.mark.parametrize("value", ["12.5", Decimal("12.50"), "12.5000"])
def test_a_number_may_come_as_a_number_or_a_text(value: object) -> None:
    assert percent.validate_python(value) == Decimal("12.5")


MANY = {f"a{n}": 1 for n in range(89)}


@pytest.mark.parametrize(
    ("weights", "is_target", "is_drifted"),
    [
        ({"a": 100}, True, True),
        ({"a": "99.9999", "b": "0.0001"}, True, True),
        ({"a": 100, "b": 0}, True, True),
        ({**MANY, "z": 11}, True, True),
        ({**MANY, "y": 1, "z": 10}, False, False),
        ({"a": "99.9999"}, False, False),
        ({"a": "100.0001"}, False, False),
        ({"a": 101, "b": -1}, False, False),
        ({"a": "99.99999", "b": "0.00001"}, False, False),
        ({}, False, False),
        ({"\u0430": 100}, False, False),
        ({"a#b": 100}, False, False),
        ({".a": 100}, False, False),
        ({"a" * 33: 100}, False, False),
        ({"a\n": 100}, False, False),
    ],
    ids=lambda value: str(value)[:30] if isinstance(value, dict) else "",
)
def test_an_allocation_has_1_to_90_ascii_assets_and_sums_to_100(
    weights: dict[str, object], is_target: bool, is_drifted: bool
) -> None:
    for adapter, accepted in ((target, is_target), (drifted, is_drifted)):
        if accepted:
            assert sum(adapter.validate_python(weights).values()) == 100
        else:
            with pytest.raises(ValidationError):
                adapter.validate_python(weights)
