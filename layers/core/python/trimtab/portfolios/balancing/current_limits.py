"""Current limits: the symbols that may not be traded now, for reasons of price, asset, policy and broker."""

from collections.abc import Iterator

from msgspec.structs import replace

from trimtab.contracts.assets import AssetRecord
from trimtab.kernel.money import PERCENT_PLACES, QUANTITY_PLACES, ZERO, apportion, count_decimals
from trimtab.portfolios.balancing.decision_inputs import DecisionInputs, symbols_of
from trimtab.portfolios.portfolio.model import Allocation
from trimtab.portfolios.portfolio.policy import Policy, Restriction
from trimtab.portfolios.rebalancing.drift import CASH, Weights, target_weights
from trimtab.portfolios.rebalancing.trade_limits import TradeLimit, merge_limits, policy_limits

QUOTED_IN_PERCENT = "quoted_in_percent"
"""Reason of the limit of an asset that is quoted in percent of its nominal value."""


def current_limits(inputs: DecisionInputs) -> dict[str, TradeLimit]:
    """Return the limits of the symbols held or targeted.

    * `no_quote`: no quote, or one that is too old or from before a split; `price_held`: the newest price is held.
    * `quoted_in_percent`: the asset is quoted in percent of its nominal value, and orders are stated in money.
    * `fine_quantity`: the holding has more than 9 decimals, and orders have at most 9.
    * `asset_halted`: trading in the asset is halted; `inactive`: the asset is no longer active.
    * `other_currency`: the asset is priced in another currency than the portfolio.
    * `restricted`: the policy forbids the side; `quarantined`: the broker refused an order of the symbol for good.

    A symbol that is held without a usable quote is frozen: the holding keeps its last value.
    """
    quarantined = {
        symbol: TradeLimit(quarantine.restriction, "quarantined")
        for symbol, quarantine in inputs.portfolio.brake.in_quarantine(inputs.now).items()
    }
    limits = merge_limits(
        dict(_price_limits(inputs)),
        dict(_asset_limits(inputs)),
        dict(_quantity_limits(inputs)),
        quarantined,
        policy_limits(inputs.portfolio.policy),
    )
    return {symbol: limits[symbol] for symbol in symbols_of(inputs.portfolio) if symbol in limits}


def present_target(inputs: DecisionInputs, weights: Weights) -> tuple[Allocation, Policy]:
    """Return the target and the policy by which a plan is made now.

    Nothing is sold for a symbol that waits for a price to be bought at, and no other asset is bought instead: the share
    of the symbol stays in cash and, beyond that, in the overweight assets.
    """
    portfolio, waiting = inputs.portfolio, inputs.waiting_for_price()
    if not waiting:
        return portfolio.allocation, portfolio.policy
    targets = target_weights(portfolio.allocation, portfolio.policy)
    share = sum((targets[symbol] for symbol in waiting), ZERO)
    excess = {asset: max(ZERO, weight - targets.get(asset, ZERO)) for asset, weight in weights.items()}
    in_cash = min(share, excess.pop(CASH))
    kept = apportion(share - in_cash, excess, PERCENT_PLACES) if share > in_cash else {}
    others = {*targets, *kept} - waiting - {CASH}
    present = {asset: targets.get(asset, ZERO) + kept.get(asset, ZERO) for asset in sorted(others)}
    policy = replace(portfolio.policy, cash_target=targets[CASH] + in_cash)
    return {asset: weight for asset, weight in present.items() if weight}, policy


def _price_limits(inputs: DecisionInputs) -> Iterator[tuple[str, TradeLimit]]:
    for symbol in inputs.without_usable_price():
        quote = inputs.quotes.get(symbol)
        reason = "price_held" if quote is not None and quote.held is not None else "no_quote"
        if quote is not None and quote.is_in_percent:
            reason = QUOTED_IN_PERCENT
        yield symbol, TradeLimit(Restriction.FROZEN if inputs.holds(symbol) else Restriction.NO_BUY, reason)


def _asset_limits(inputs: DecisionInputs) -> Iterator[tuple[str, TradeLimit]]:
    for symbol, asset in inputs.assets.items():
        limit = _limit_of(asset, inputs.portfolio.currency)
        if limit is not None:
            yield symbol, limit


def _quantity_limits(inputs: DecisionInputs) -> Iterator[tuple[str, TradeLimit]]:
    for symbol, quantity in inputs.quantities.items():
        if count_decimals(quantity) > QUANTITY_PLACES:
            yield symbol, TradeLimit(Restriction.FROZEN, "fine_quantity")


def _limit_of(asset: AssetRecord, currency: str) -> TradeLimit | None:
    if asset.halted:
        return TradeLimit(Restriction.FROZEN, "asset_halted")
    if not asset.active:
        return TradeLimit(Restriction.NO_BUY, "inactive")
    if asset.currency != currency:
        return TradeLimit(Restriction.NO_BUY, "other_currency")
    return None
