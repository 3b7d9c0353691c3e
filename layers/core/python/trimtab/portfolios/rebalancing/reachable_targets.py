"""Reachable targets: the target weights that remain where trade limits keep assets from their own targets.

An asset that may not be traded towards its target keeps its weight. All others, cash included, share the rest in
proportion to their targets. No other weights have a smaller drift from the policy's targets.
"""

from collections.abc import Collection, Iterable, Mapping
from decimal import Decimal

from msgspec import Struct, field

from trimtab.kernel.money import HUNDRED, PERCENT_PLACES, ZERO, apportion
from trimtab.portfolios.portfolio.holdings import Side
from trimtab.portfolios.portfolio.policy import Restriction
from trimtab.portfolios.rebalancing.drift import CASH, Weights
from trimtab.portfolios.rebalancing.trade_limits import TradeLimits


class ReachableTargets(Struct, frozen=True):
    """Target weights under trade limits, in percents of 4 places that sum to 100; `fixed` assets keep their weight.

    `margins` are the distances, in points, of assets with a limit on one side from the weight at which the limit begins
    or ends to hold.
    """

    weights: Weights
    fixed: frozenset[str] = frozenset()
    margins: Weights = field(default_factory=dict)


def find_reachable_targets(weights: Weights, targets: Weights, limits: TradeLimits) -> ReachableTargets:
    """Return the targets that the limits leave reachable from these weights; both mappings sum to 100.

    >>> from trimtab.portfolios.rebalancing.trade_limits import TradeLimit
    >>> limits = {"C": TradeLimit(Restriction.FROZEN, "no_quote")}
    >>> weights = {"A": Decimal(50), "B": Decimal(10), "C": Decimal(40)}
    >>> find_reachable_targets(weights, {"A": Decimal(40), "B": Decimal(40), "C": Decimal(20)}, limits).weights
    {'A': Decimal('30.0000'), 'B': Decimal('30.0000'), 'C': Decimal('40')}
    """
    limited = {asset: limit for asset, limit in sorted(limits.items()) if asset in weights or asset in targets}
    fixed = {asset for asset, limit in limited.items() if limit.restriction is Restriction.FROZEN}
    while True:
        reached = _share_rest({asset: weights.get(asset, ZERO) for asset in sorted(fixed)}, weights, targets)
        gaps = {asset: reached.get(asset, ZERO) - weights.get(asset, ZERO) for asset in limited if asset not in fixed}
        bought = {asset: gap for asset, gap in gaps.items() if gap > 0 and limited[asset].forbids(Side.BUY)}
        sold = {asset: -gap for asset, gap in gaps.items() if gap < 0 and limited[asset].forbids(Side.SELL)}
        if not bought and not sold:
            one_sided = [asset for asset, limit in limited.items() if limit.restriction is not Restriction.FROZEN]
            return ReachableTargets(reached, frozenset(fixed), _margins(one_sided, weights, targets, reached, fixed))
        # The larger side stays forbidden however the other side ends; the smaller side may become reachable.
        fixed.update(bought if sum(bought.values(), ZERO) >= sum(sold.values(), ZERO) else sold)


def _share_rest(fixed: Weights, weights: Weights, targets: Weights) -> Weights:
    """Return the fixed weights, and the rest shared in proportion to the targets of the other assets."""
    rest = HUNDRED - sum(fixed.values(), ZERO)
    others = {asset: target for asset, target in targets.items() if asset not in fixed}
    if any(others.values()):
        return _in_order(targets, apportion(rest, others, PERCENT_PLACES), fixed)
    if CASH in targets:
        return _in_order(targets, {CASH: rest}, fixed)
    return weights


def _margins(
    one_sided: Iterable[str], weights: Weights, targets: Weights, reached: Weights, fixed: Collection[str]
) -> dict[str, Decimal]:
    """Return the distance of each asset from its share of what the assets without a hold of a limit have."""
    others = sum((target for asset, target in targets.items() if asset not in fixed), ZERO)
    rest = sum((weight for asset, weight in reached.items() if asset not in fixed), ZERO)
    return {
        asset: abs(weights.get(asset, ZERO) - targets.get(asset, ZERO) * rest / others) for asset in one_sided if others
    }


def _in_order(targets: Weights, shared: Mapping[str, Decimal], fixed: Weights) -> dict[str, Decimal]:
    both = {**fixed, **shared}
    return {asset: both[asset] for asset in sorted({*targets, *fixed}) if asset in both}
