"""Plans of withdrawals: they always pay, sell the overweight first, and refuse what the portfolio cannot pay."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.samples import percents
from trimtab.portfolios.balancing.order_planner import OrderPlan
from trimtab.portfolios.balancing.withdrawal_plan import WithdrawalPlan, plan_withdrawal
from trimtab.portfolios.portfolio.holdings import Side
from trimtab.portfolios.portfolio.policy import Policy, Restriction
from trimtab.portfolios.rebalancing.orders import NO_COMMISSION, Commission
from trimtab.portfolios.rebalancing.trade_limits import TradeLimit
from trimtab.portfolios.rebalancing.valuation import value

HALVES = percents(A=50, B=50)


def withdraw(
    quantities: dict[str, int],
    cash: str,
    amount: str,
    policy: Policy | None = None,
    *,
    limits: dict[str, TradeLimit] | None = None,
    commission: Commission = NO_COMMISSION,
) -> WithdrawalPlan:
    """Plan a withdrawal from holdings at a price of 10."""
    valuation = value(
        {symbol: Decimal(quantity) for symbol, quantity in quantities.items()},
        dict.fromkeys(quantities, Decimal(10)),
        Decimal(cash),
    )
    return plan_withdrawal(
        valuation, HALVES, policy or Policy(), Decimal(amount), limits=limits or {}, commission=commission
    )


def sold(plan: OrderPlan | None) -> dict[str, Decimal]:
    """Return the sold quantities."""
    assert plan is not None
    assert all(order.side is Side.SELL for order in plan.orders)
    return {order.symbol: order.quantity for order in plan.orders}


def test_cash_that_covers_the_amount_is_paid_without_a_sell() -> None:
    assert sold(withdraw({"A": 60, "B": 40}, "100", "100").plan) == {}


def test_only_the_overweight_asset_is_sold_while_it_suffices() -> None:
    found = sold(withdraw({"A": 60, "B": 40}, "0", "100", Policy(max_slippage=Decimal(0))).plan)
    assert found == {"A": Decimal("10.001000000")}


def test_at_the_target_all_assets_are_sold_alike() -> None:
    found = sold(withdraw({"A": 50, "B": 50}, "0", "100", Policy(max_slippage=Decimal(0))).plan)
    assert sorted(found) == ["A", "B"]
    assert abs(found["A"] - found["B"]) < Decimal("0.01")


def test_what_cannot_be_paid_is_refused_with_what_can() -> None:
    found = withdraw({"A": 60, "B": 40}, "10", "1000.01", Policy(max_slippage=Decimal(1)))
    assert (found.plan, found.available) == (None, Decimal("1000.00"))


def test_a_symbol_that_may_not_be_sold_counts_for_nothing() -> None:
    frozen = {"A": TradeLimit(Restriction.FROZEN, "price_held")}
    found = withdraw({"A": 60, "B": 40}, "0", "390", limits=frozen)
    assert sorted(sold(found.plan)) == ["B"]
    assert withdraw({"A": 60, "B": 40}, "0", "397", limits=frozen).plan is None


def test_a_cash_target_is_kept_where_the_holdings_allow_both() -> None:
    policy = Policy(cash_target=Decimal(10), max_slippage=Decimal(0))
    quantities = sold(withdraw({"A": 45, "B": 45}, "100", "500", policy).plan)
    raised = 10 * sum(quantities.values())
    assert Decimal(450) <= raised <= Decimal("450.10"), "500 paid, and 50 of the remaining 500 in cash"


@given(
    quantities=st.dictionaries(st.sampled_from("ABCDE"), st.integers(1, 500), min_size=1),
    prices=st.lists(st.integers(1, 900), min_size=5, max_size=5),
    cash=st.integers(0, 2_000),
    share=st.integers(1, 110),
    whole_shares=st.booleans(),
    fee=st.sampled_from(["0", "1.00"]),
    percent=st.sampled_from(["0", "0.1"]),
    cash_target=st.sampled_from([0, 5]),
)
@pytest.mark.parametrize("slippage", ["0", "1", "3"])
def test_a_plan_pays_the_amount_at_limit_prices_or_nothing_is_sold(
    quantities: dict[str, int],
    prices: list[int],
    cash: int,
    share: int,
    *,
    whole_shares: bool,
    fee: str,
    percent: str,
    cash_target: int,
    slippage: str,
) -> None:
    at = {symbol: Decimal(price) for symbol, price in zip("ABCDE", prices, strict=True) if symbol in quantities}
    valuation = value({symbol: Decimal(held) for symbol, held in quantities.items()}, at, Decimal(cash))
    amount = (valuation.total * share / 100).quantize(Decimal("0.01"))
    policy = Policy(whole_shares=whole_shares, max_slippage=Decimal(slippage), cash_target=Decimal(cash_target))
    commission = Commission(Decimal(fee), Decimal(percent))
    found = plan_withdrawal(
        valuation, {"A": Decimal(60), "B": Decimal(40)}, policy, amount, limits={}, commission=commission
    )
    if found.plan is None:
        assert found.available < amount
        return
    worst = Decimal(cash)
    for order in found.plan.orders:
        assert Decimal(0) < order.quantity <= quantities[order.symbol]
        assert not whole_shares or order.quantity % 1 == 0
        assert order.notional >= policy.minimum_trade
        proceeds = (order.quantity * order.limit_price).quantize(Decimal("0.01"), "ROUND_FLOOR")
        worst += proceeds - commission.of(order.quantity * order.price, "USD")
    assert worst >= amount
    assert sum((leg.change for leg in found.plan.legs), Decimal(0)) == 0
