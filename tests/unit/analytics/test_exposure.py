"""Sector exposure of a portfolio."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from trimtab.analytics.domain.exposure import CASH_SECTOR, UNKNOWN, HoldingValue, SectorWeight, compute_sector_exposure


def test_values_and_weights_by_sector_with_the_largest_first() -> None:
    found = compute_sector_exposure(
        [HoldingValue("AAA", Decimal(300)), HoldingValue("BBB", Decimal(100)), HoldingValue("CCC", Decimal(500))],
        Decimal(100),
        {"AAA": "Technology", "BBB": "Energy", "CCC": "Technology"},
    )
    assert found.value == 1000
    assert found.sectors == (
        SectorWeight("Technology", Decimal("800.00"), Decimal(80), ("AAA", "CCC")),
        SectorWeight(CASH_SECTOR, Decimal("100.00"), Decimal(10), ()),
        SectorWeight("Energy", Decimal("100.00"), Decimal(10), ("BBB",)),
    )
    assert not found.unpriced


def test_an_unknown_asset_is_in_the_unknown_sector() -> None:
    found = compute_sector_exposure(
        [HoldingValue("NEW", Decimal(10)), HoldingValue("ODD", Decimal(5))], Decimal(0), {"ODD": "  "}
    )
    assert found.sectors == (SectorWeight(UNKNOWN, Decimal("15.00"), Decimal(100), ("NEW", "ODD")),)


def test_an_asset_without_any_price_stays_in_the_view_and_is_named() -> None:
    found = compute_sector_exposure(
        [HoldingValue("AAA", Decimal(10)), HoldingValue("IPO", None)], Decimal(0), {"AAA": "Energy", "IPO": "Arts"}
    )
    assert [(sector.name, sector.weight, sector.symbols) for sector in found.sectors] == [
        ("Energy", Decimal(100), ("AAA",)),
        ("Arts", Decimal(0), ("IPO",)),
    ]
    assert found.unpriced == ("IPO",)


def test_blanks_do_not_make_two_sectors_of_one() -> None:
    found = compute_sector_exposure(
        [HoldingValue("AAA", Decimal(1)), HoldingValue("BBB", Decimal(1))],
        Decimal(0),
        {"AAA": "Real Estate", "BBB": " Real  Estate "},
    )
    assert [sector.name for sector in found.sectors] == ["Real Estate"]


def test_a_portfolio_worth_nothing_has_no_weights() -> None:
    assert compute_sector_exposure([], Decimal(0), {}).sectors == ()
    (found,) = compute_sector_exposure([HoldingValue("AAA", Decimal(0))], Decimal(0), {}).sectors
    assert found.weight == 0


@given(
    st.dictionaries(st.sampled_from("abcdefgh"), st.integers(1, 10**12).map(Decimal), min_size=1),
    st.dictionaries(st.sampled_from("abcdefgh"), st.sampled_from(["x", "y", "z", None])),
    st.integers(0, 10**12).map(Decimal),
)
def test_weights_sum_to_exactly_100_and_every_symbol_is_in_one_sector(
    values: dict[str, Decimal], sectors: dict[str, str | None], cash: Decimal
) -> None:
    found = compute_sector_exposure([HoldingValue(*entry) for entry in values.items()], cash, sectors)
    assert sum(sector.weight for sector in found.sectors) == 100
    assert sum(sector.value for sector in found.sectors) == found.value == sum(values.values()) + cash
    assert sorted(symbol for sector in found.sectors for symbol in sector.symbols) == sorted(values)
