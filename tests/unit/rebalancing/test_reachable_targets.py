"""Reachable targets: limited assets keep their weight, and the others share the rest in proportion to their targets."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.samples import allocations, percents
from trimtab.portfolios.portfolio.holdings import Side
from trimtab.portfolios.portfolio.policy import Restriction
from trimtab.portfolios.rebalancing.drift import CASH, compare_weights, measure_drift
from trimtab.portfolios.rebalancing.reachable_targets import find_reachable_targets
from trimtab.portfolios.rebalancing.trade_limits import TradeLimit, TradeLimits, merge_limits

Weights = dict[str, Decimal]
NO_BUY, NO_SELL, FROZEN = (TradeLimit(restriction, "code") for restriction in Restriction)
limits = st.dictionaries(st.sampled_from("abcdefghijkl"), st.sampled_from([NO_BUY, NO_SELL, FROZEN]), max_size=6)


def test_without_limits_the_targets_are_reachable() -> None:
    found = find_reachable_targets(percents(a=70, b=30), percents(a=50, b=50), {})
    assert (dict(found.weights), found.fixed) == (percents(a=50, b=50), frozenset())


def test_an_asset_that_cannot_be_bought_leaves_its_part_to_the_others() -> None:
    weights = {"a": Decimal(0), "b": Decimal(0), "x": Decimal(0), CASH: Decimal(100)}
    found = find_reachable_targets(weights, percents(a=40, b=40, x=20) | {CASH: Decimal(0)}, {"x": NO_BUY})
    assert dict(found.weights) == percents(a=50, b=50, x=0) | {CASH: Decimal(0)}


def test_an_asset_that_cannot_be_bought_is_still_sold() -> None:
    found = find_reachable_targets(percents(a=40, x=60), percents(a=80, x=20), {"x": NO_BUY})
    assert dict(found.weights) == percents(a=80, x=20)


def test_cash_takes_the_rest_where_every_target_is_limited() -> None:
    weights = {"a": Decimal(50), "x": Decimal(30), CASH: Decimal(20)}
    found = find_reachable_targets(weights, {"a": Decimal(100), CASH: Decimal(0)}, {"a": FROZEN})
    assert dict(found.weights) == {"a": Decimal(50), CASH: Decimal(50)}


@given(allocations(zeros=True), allocations(zeros=False), limits)
def test_limits_hold_and_the_drift_is_the_least(weights: Weights, targets: Weights, limits: TradeLimits) -> None:
    found = find_reachable_targets(weights, targets, limits)
    assert sum(found.weights.values()) == 100
    for leg in compare_weights(weights, found.weights):
        limit = limits.get(leg.asset)
        assert limit is None or leg.drift <= 0 or not limit.forbids(Side.SELL)
        assert limit is None or leg.drift >= 0 or not limit.forbids(Side.BUY)
        assert leg.asset not in found.fixed or leg.drift == 0
    before, after = (measure_drift(compare_weights(each, targets)) for each in (weights, found.weights))
    assert after <= before + Decimal("0.0001") * len(targets)
    free = {asset: found.weights[asset] / targets[asset] for asset in targets if asset not in found.fixed}
    assert max(free.values(), default=0) - min(free.values(), default=0) <= Decimal("0.0001") / min(targets.values())


def test_two_limits_of_a_symbol_hold_both() -> None:
    merged = merge_limits({"a": NO_BUY, "b": NO_SELL}, {"a": NO_SELL, "c": FROZEN}, {"b": NO_SELL})
    assert {symbol: limit.restriction for symbol, limit in merged.items()} == {
        "a": Restriction.FROZEN,
        "b": Restriction.NO_SELL,
        "c": Restriction.FROZEN,
    }
