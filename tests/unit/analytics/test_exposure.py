"""Which part of a portfolio is in which sector."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from trimtab.analytics.domain.exposure import CASH_SECTOR, UNKNOWN, Position, Sector, exposure


def test_values_and_weights_by_sector_with_the_largest_first() -> None:
    found = exposure(
        [Position("AAA", Decimal(300)), Position("BBB", Decimal(100)), Position("CCC", Decimal(500))],
        Decimal(100),
        {"AAA": "Technology", "BBB": "Energy", "CCC": "Technology"},
    )
    assert found.value == 1000
    assert found.sectors == (
        Sector("Technology", Decimal("800.00"), Decimal(80), ("AAA", "CCC")),
        Sector(CASH_SECTOR, Decimal("100.00"), Decimal(10), ()),
        Sector("Energy", Decimal("100.00"), Decimal(10), ("BBB",)),
    )
    assert not found.unvalued


def test_an_asset_that_nobody_knows_is_in_the_unknown_sector() -> None:
    found = exposure([Position("NEW", Decimal(10)), Position("ODD", Decimal(5))], Decimal(0), {"ODD": "  "})
    assert found.sectors == (Sector(UNKNOWN, Decimal("15.00"), Decimal(100), ("NEW", "ODD")),)


def test_an_asset_without_any_price_stays_in_the_view_and_is_named() -> None:
    found = exposure(
        [Position("AAA", Decimal(10)), Position("IPO", None)], Decimal(0), {"AAA": "Energy", "IPO": "Arts"}
    )
    assert [(it.name, it.weight, it.symbols) for it in found.sectors] == [
        ("Energy", Decimal(100), ("AAA",)),
        ("Arts", Decimal(0), ("IPO",)),
    ]
    assert found.unvalued == ("IPO",)


def test_blanks_do_not_make_two_sectors_of_one() -> None:
    found = exposure(
        [Position("AAA", Decimal(1)), Position("BBB", Decimal(1))],
        Decimal(0),
        {"AAA": "Real Estate", "BBB": " Real  Estate "},
    )
    assert [it.name for it in found.sectors] == ["Real Estate"]


def test_a_portfolio_worth_nothing_has_no_weights() -> None:
    assert exposure([], Decimal(0), {}).sectors == ()
    (found,) = exposure([Position("AAA", Decimal(0))], Decimal(0), {}).sectors
    assert found.weight == 0


@given(
    st.dictionaries(st.sampled_from("abcdefgh"), st.integers(1, 10**12).map(Decimal), min_size=1),
    st.dictionaries(st.sampled_from("abcdefgh"), st.sampled_from(["x", "y", "z", None])),
    st.integers(0, 10**12).map(Decimal),
)
def test_weights_sum_to_exactly_100_and_every_symbol_is_in_one_sector(
    values: dict[str, Decimal], sectors: dict[str, str | None], cash: Decimal
) -> None:
    found = exposure([Position(*it) for it in values.items()], cash, sectors)
    assert sum(it.weight for it in found.sectors) == 100
    assert sum(it.value for it in found.sectors) == found.value == sum(values.values()) + cash
    assert sorted(symbol for it in found.sectors for symbol in it.symbols) == sorted(values)
