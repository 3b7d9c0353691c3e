"""The limits of trades now: prices, assets, policy and quarantine, and the plans that are made around the limits."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.unit.balancing.test_check_decision import NOW, asset_of, at, inputs_at, invested
from tests.unit.samples import percents
from trimtab.contracts.quotes import HeldPrice, HoldReason, Quote
from trimtab.portfolios.balancing.current_limits import current_limits, present_target
from trimtab.portfolios.portfolio.brake import Brake, Quarantine
from trimtab.portfolios.portfolio.holdings import Side
from trimtab.portfolios.portfolio.policy import Policy, Restriction
from trimtab.portfolios.portfolio.watch_state import Trigger
from trimtab.portfolios.rebalancing.drift import CASH, target_weights

OLD = NOW - timedelta(days=3)
THREE = percents(A=40, B=40, C=20)


def quotes_of(old: str = "", **prices: Any) -> list[Quote]:
    """Return quotes at these prices: those named in `old` are three days old, the others are of now."""
    return [Quote(symbol, Decimal(price), OLD if symbol in old else NOW) for symbol, price in prices.items()]


def held_price(price: int) -> HeldPrice:
    """Return an implausible price."""
    return HeldPrice(Decimal(price), NOW, "feed", HoldReason.PRICE_JUMP, Decimal(1), Decimal(9900), NOW)


def test_a_symbol_without_a_fresh_quote_is_frozen_at_its_last_value_and_the_rest_is_balanced() -> None:
    held = invested({"A": 60, "B": 20, "C": 20}, allocation=THREE)
    found = at(held, Trigger.PRICE, quotes_of("C", A=1, B=1, C=1), last_prices={"C": Decimal(1)})
    assert found.plan is not None
    assert {order.symbol: order.side for order in found.plan.orders} == {"A": Side.SELL, "B": Side.BUY}
    assert found.reason.details["limits"] == {"C": "no_quote"}
    assert found.reason.details["prices"]["C"] == "1"


def test_a_held_symbol_that_left_the_target_blocks_nothing_while_it_has_no_quote() -> None:
    held = invested({"A": 70, "B": 20, "OUT": 10})
    found = at(held, Trigger.PRICE, quotes_of("OUT", A=1, B=1, OUT=1), last_prices={"OUT": Decimal(1)})
    assert found.plan is not None
    assert {order.symbol for order in found.plan.orders} == {"A", "B"}
    assert [(leg.symbol, leg.reason) for leg in found.plan.skipped if leg.symbol == "OUT"] == [("OUT", "no_quote")]


def test_a_held_price_freezes_its_symbol_at_the_accepted_price() -> None:
    held = invested({"A": 60, "B": 20, "C": 20}, allocation=THREE)
    quotes = [*quotes_of(A=1, B=1), Quote("C", Decimal(1), NOW, held=held_price(100))]
    found = at(held, Trigger.PRICE, quotes, last_prices={"C": Decimal(1)})
    assert found.plan is not None
    assert found.reason.details["limits"] == {"C": "price_held"}
    assert "C" not in {order.symbol for order in found.plan.orders}


def test_a_portfolio_whose_only_price_is_held_says_so() -> None:
    held = invested({"A": 50}, allocation=percents(A=100))
    found = at(held, Trigger.PRICE, [Quote("A", Decimal(1), NOW, held=held_price(100))])
    assert (found.reason.code, found.plan, found.reason.details["held"]) == ("price_held", None, ["A"])


def test_a_holding_that_never_had_a_price_cannot_be_valued() -> None:
    found = at(invested({"A": 60, "B": 20, "C": 20}), Trigger.PRICE, quotes_of(A=1, B=1))
    assert (found.reason.code, found.reason.details["missing"]) == ("no_quote", ["C"])


@pytest.mark.parametrize(
    ("change", "code", "restriction"),
    [
        ({"halted": True}, "asset_halted", Restriction.FROZEN),
        ({"active": False}, "inactive", Restriction.NO_BUY),
        ({"currency": "EUR"}, "other_currency", Restriction.NO_BUY),
    ],
)
def test_an_asset_that_cannot_be_traded_is_never_bought_and_the_check_says_so(
    change: dict[str, Any], code: str, restriction: Restriction
) -> None:
    held = invested({"A": 40, "B": 20, "C": 40}, allocation=THREE)
    assets = {"A": asset_of("A"), "B": asset_of("B", **change), "C": asset_of("C")}
    inputs = inputs_at(held, Trigger.PRICE, quotes_of(A=1, B=1, C=1), assets=assets)
    assert {symbol: limit.restriction for symbol, limit in current_limits(inputs).items()} == {"B": restriction}
    found = at(held, Trigger.PRICE, quotes_of(A=1, B=1, C=1), assets=assets)
    assert found.plan is not None
    assert {order.symbol for order in found.plan.orders} == {"A", "C"}
    assert found.reason.details["limits"] == {"B": code}


def test_policy_and_quarantine_limit_their_symbols() -> None:
    policy = Policy(restrictions={"A": Restriction.NO_SELL, "B": Restriction.NO_BUY})
    refused = Quarantine(Restriction.NO_BUY, "not_tradable", "r", NOW, NOW + timedelta(days=1))
    expired = replace(refused, until=NOW)
    held = invested({"A": 60, "B": 40}, policy, brake=Brake(quarantine={"A": refused, "B": expired, "Z": refused}))
    limits = current_limits(inputs_at(held, Trigger.PRICE))
    assert limits["A"].restriction is Restriction.FROZEN
    assert (limits["B"].restriction, limits["B"].reason) == (Restriction.NO_BUY, "restricted")
    assert "Z" not in limits


def test_a_new_portfolio_buys_what_is_quoted_and_keeps_cash_for_what_is_not() -> None:
    empty = invested({}, allocation=THREE, cash=Decimal(1000))
    found = at(empty, Trigger.TARGET, quotes_of(A=1, B=1))
    assert found.plan is not None
    bought = {order.symbol: order.notional for order in found.plan.orders}
    assert all(abs(amount - 400) < 1 for amount in bought.values())
    assert set(bought) == {"A", "B"}
    assert found.bounds == {}


def test_nothing_is_sold_for_a_symbol_that_waits_for_its_first_quote() -> None:
    held = invested({"A": 50, "B": 50}, allocation=percents(A=50, B=30, NEW=20))
    found = at(held, Trigger.TARGET, quotes_of(A=1, B=1))
    assert (found.reason.code, found.plan) == ("within_band", None)
    assert found.reason.details["limits"] == {"NEW": "no_quote"}
    assert found.bounds["NEW"].upper == 0, "any quote requests a check"


@given(
    weights=st.lists(st.integers(0, 100), min_size=4, max_size=4).filter(any),
    targets=st.lists(st.integers(1, 100), min_size=4, max_size=4),
    waiting=st.sets(st.sampled_from("BCD"), min_size=1),
)
def test_targets_around_waiting_symbols_sum_to_100_and_pass_no_target(
    weights: list[int], targets: list[int], waiting: set[str]
) -> None:
    held = {symbol: Decimal(weight) for symbol, weight in zip("ABCD", weights, strict=True) if symbol not in waiting}
    cash = Decimal(weights[3])
    allocation = {symbol: Decimal(target) for symbol, target in zip("ABCD", targets, strict=True)}
    portfolio = invested(held, allocation=allocation, cash=cash)
    inputs = inputs_at(portfolio, Trigger.PRICE, [Quote(symbol, Decimal(1), NOW) for symbol in "A" + "".join(held)])
    total = sum(held.values()) + cash
    if not total:
        return
    shares = {symbol: 100 * weight / total for symbol, weight in {**held, CASH: cash}.items()}
    plain, present = target_weights(allocation, portfolio.policy), target_weights(*present_target(inputs, shares))
    assert sum(present.values()) == 100
    for asset in {*held, CASH}:
        share, before, now = (each.get(asset, Decimal(0)) for each in (shares, plain, present))
        assert min(share, before) - Decimal("0.001") <= now <= max(share, before) + Decimal("0.001")
