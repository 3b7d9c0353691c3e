"""Decimal numbers: parsing, writing, rounding and apportioning."""

import time
from decimal import Decimal

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
    started = time.perf_counter()
    with pytest.raises(Invalid, match="plain digits"):
        money.parse_number(text)
    assert time.perf_counter() - started < 0.1


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
