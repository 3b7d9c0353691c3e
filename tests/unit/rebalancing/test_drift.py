"""Weights and drift: changes lead back to the target exactly, or to the edge of the band with the least turnover."""

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

import pytest
from hypothesis import given

from tests.unit.samples import TARGET, allocations, bands, percents
from trimtab.portfolios.portfolio.policy import Band, BandType, Destination
from trimtab.portfolios.rebalancing.drift import (
    Action,
    Transaction,
    band_tolerance,
    compare_weights,
    legs_outside,
    list_transactions,
    measure_drift,
    plan_changes,
)

Weights = dict[str, Decimal]
NO_BAND = Band()
UNIT = Decimal("0.0001")


def transactions_to(
    drifted: Weights, target: Weights, band: Band = NO_BAND, to: Destination = Destination.TARGET
) -> tuple[Transaction, ...]:
    """Return the transactions from drifted weights to the destination."""
    return list_transactions(plan_changes(compare_weights(drifted, target), band_tolerance(band), to))


def apply_transactions(transactions: tuple[Transaction, ...], weights: Weights) -> Weights:
    """Return the weights after the transactions, without the assets sold completely."""
    after = dict(weights)
    for each in transactions:
        after[each.asset] = after.get(each.asset, Decimal(0)) + each.percent * (1 if each.action is Action.BUY else -1)
    return {asset: weight for asset, weight in after.items() if weight}


def assert_well_formed(found: tuple[Transaction, ...]) -> None:
    """Check the rules of every plan: sells pay for buys, sells come first, the largest first, ties by name."""
    assert all(each.percent > 0 for each in found)
    sums = {side: sum(each.percent for each in found if each.action is side) for side in Action}
    assert sums[Action.SELL] == sums[Action.BUY]
    assert list(found) == sorted(found, key=lambda each: (each.action is Action.BUY, -each.percent, each.asset))
    assert len({each.asset for each in found}) == len(found)


def test_the_overweight_asset_is_sold_and_the_underweight_asset_bought() -> None:
    drifted = percents(stocks=70, bonds=20, gold=10)
    expected = (Transaction(Action.SELL, "stocks", Decimal(10)), Transaction(Action.BUY, "bonds", Decimal(10)))
    assert transactions_to(drifted, TARGET) == expected


def test_a_missing_asset_is_bought_back_and_an_unknown_one_is_sold() -> None:
    found = transactions_to(percents(stocks=60, coins=40), TARGET)
    assert [(each.action.value, each.asset, int(each.percent)) for each in found] == [
        ("SELL", "coins", 40),
        ("BUY", "bonds", 30),
        ("BUY", "gold", 10),
    ]


def test_transactions_of_equal_size_are_sorted_by_name() -> None:
    found = transactions_to(percents(d=50, b=50), percents(z=25, a=25, c=50))
    assert [each.asset for each in found] == ["b", "d", "c", "a", "z"]


@given(allocations(zeros=True), allocations(zeros=False))
def test_transactions_lead_from_any_weights_to_the_target_exactly(drifted: Weights, target: Weights) -> None:
    found = transactions_to(drifted, target)
    assert apply_transactions(found, drifted) == target
    assert_well_formed(found)


@given(allocations(zeros=False))
def test_weights_on_target_need_no_transaction(target: Weights) -> None:
    assert transactions_to(target, target) == ()
    assert measure_drift(compare_weights(target, target)) == 0


@given(allocations(zeros=True), allocations(zeros=False), bands)
def test_at_the_edge_of_the_band_every_leg_is_inside_with_the_least_turnover(
    drifted: Weights, target: Weights, band: Band
) -> None:
    legs = compare_weights(drifted, target)
    ends = plan_changes(legs, band_tolerance(band), Destination.BAND_EDGE)
    found = list_transactions(ends)
    assert_well_formed(found)
    after = {leg.asset: leg.weight + leg.change for leg in ends}
    assert sum(after.values()) == 100
    too_much = too_little = Decimal(0)
    for leg in legs:
        tolerance, end = band.tolerance(leg.target), after[leg.asset]
        assert abs(end - leg.target) <= tolerance
        assert (end - leg.target) * leg.drift >= 0, "it passed its target"
        assert 0 <= end == end.quantize(UNIT)
        upper = (leg.target + tolerance).quantize(UNIT, ROUND_FLOOR)
        lower = (leg.target - tolerance).quantize(UNIT, ROUND_CEILING)
        too_much += max(Decimal(0), leg.weight - upper)
        too_little += max(Decimal(0), lower - leg.weight)
    assert sum(each.percent for each in found if each.action is Action.SELL) == max(too_much, too_little)


def test_legs_inside_their_band_absorb_the_excess_in_proportion_to_their_drift() -> None:
    # gold comes down by 1 to its edge; bonds and cash lie 2 and 4 below their targets, so they take it 1 : 2, rounded.
    found = transactions_to(
        percents(gold=16, bonds=38, cash=46),
        percents(gold=10, bonds=40, cash=50),
        Band(BandType.ABSOLUTE, Decimal(5)),
        Destination.BAND_EDGE,
    )
    assert {each.asset: each.percent for each in found} == percents(gold=1, cash="0.6667", bonds="0.3333")


@pytest.mark.parametrize(
    ("band", "target", "weight", "is_outside"),
    [
        (NO_BAND, "50", "50", False),
        (NO_BAND, "50", "50.0001", True),
        (Band(BandType.ABSOLUTE, Decimal(5)), "50", "55", False),
        (Band(BandType.ABSOLUTE, Decimal(5)), "50", "45", False),
        (Band(BandType.ABSOLUTE, Decimal(5)), "50", "55.0001", True),
        (Band(BandType.ABSOLUTE, Decimal(5)), "50", "44.9999", True),
        (Band(BandType.RELATIVE, Decimal(10)), "40", "44", False),
        (Band(BandType.RELATIVE, Decimal(10)), "40", "44.0001", True),
        (Band(BandType.RELATIVE, Decimal(10)), "0", "0.0001", True),
        (Band(BandType.HYBRID, Decimal(20), Decimal(1)), "4", "5", False),
        (Band(BandType.HYBRID, Decimal(20), Decimal(1)), "4", "5.0001", True),
        (Band(BandType.HYBRID, Decimal(20), Decimal(1)), "10", "12", False),
        (Band(BandType.HYBRID, Decimal(20), Decimal(1)), "10", "12.0001", True),
        (Band(BandType.HYBRID, Decimal(20), Decimal(1)), "0", "1", False),
    ],
)
def test_outside_is_strictly_further_than_the_tolerance(band: Band, target: str, weight: str, is_outside: bool) -> None:
    legs = compare_weights(percents(each=weight), percents(each=target))
    assert bool(legs_outside(legs, band_tolerance(band))) is is_outside


def test_drift_is_the_share_in_the_wrong_place() -> None:
    assert measure_drift(compare_weights(percents(stocks=70, bonds=20, gold=10), TARGET)) == 10
    assert measure_drift(compare_weights(percents(coins=100), TARGET)) == 100
