"""Dry runs: the relative price move under which a plan trades the same symbols on the same sides."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.balancing.test_check_decision import NOW, at, inputs_at, invested
from tests.unit.samples import percents
from trimtab.contracts.quotes import Quote
from trimtab.portfolios.balancing.dry_run import describe_dry_run
from trimtab.portfolios.balancing.order_planner import OrderPlan, plan_orders
from trimtab.portfolios.execution.broker import BrokerTerms
from trimtab.portfolios.portfolio.holdings import Holding, SecurityType
from trimtab.portfolios.portfolio.policy import Destination, Mode, Policy, Restriction
from trimtab.portfolios.portfolio.watch_state import Trigger
from trimtab.portfolios.rebalancing.orders import Commission
from trimtab.portfolios.rebalancing.valuation import value


def sides(plan: OrderPlan) -> set[tuple[str, str]]:
    """Return symbol and side of each order."""
    return {(order.symbol, order.side.value) for order in plan.orders}


@given(
    values=st.lists(st.integers(100, 10_000), min_size=2, max_size=6),
    targets=st.lists(st.integers(1, 100), min_size=6, max_size=6),
    cash=st.integers(0, 2_000),
    moves=st.lists(st.one_of(st.integers(-1000, 1000), st.sampled_from([-1000, 1000])), min_size=6, max_size=6),
    mode=st.sampled_from(Mode),
    slippage=st.sampled_from([1, 20]),
)
def test_while_prices_move_less_the_same_symbols_are_traded_on_the_same_sides(
    values: list[int], targets: list[int], cash: int, moves: list[int], mode: Mode, slippage: int
) -> None:
    symbols = "ABCDEF"[: len(values)]
    held = {symbol: Decimal(amount) for symbol, amount in zip(symbols, values, strict=True)}
    total = sum(targets[: len(values)])
    allocation = {symbol: Decimal(target) * 100 / total for symbol, target in zip(symbols, targets, strict=False)}
    policy = Policy(max_slippage=Decimal(slippage), mode=mode)
    portfolio = invested(held, policy, allocation=allocation, cash=Decimal(cash))
    result = at(portfolio, Trigger.MANUAL, mode=mode)
    if result.plan is None:
        return
    run = describe_dry_run(inputs_at(portfolio, Trigger.MANUAL, mode=mode), result, portfolio.holdings)
    assert run.valid_while is not None
    factors = (1 + run.valid_while * Decimal(move) / 1001 for move in moves)
    prices = dict(zip(symbols, factors, strict=False))
    moved = plan_orders(value(held, prices, Decimal(cash)), allocation, portfolio.policy, mode)
    assert sides(moved) == sides(result.plan)


@pytest.mark.parametrize("mode", Mode)
def test_a_usual_plan_stays_valid_up_to_the_slippage(mode: Mode) -> None:
    portfolio = invested({"A": 5_000, "B": 3_000}, Policy(mode=mode), cash=Decimal(1_500))
    inputs, result = inputs_at(portfolio, Trigger.MANUAL, mode=mode), at(portfolio, Trigger.MANUAL, mode=mode)
    run = describe_dry_run(inputs, result, portfolio.holdings)
    assert run.orders
    assert run.valid_while == Decimal("0.01")


@pytest.mark.parametrize(
    ("policy", "cash"),
    [
        (Policy(whole_shares=True), 1_500),
        (Policy(destination=Destination.BAND_EDGE), 1_500),
        (Policy(restrictions={"A": Restriction.NO_BUY}), 1_500),
        (Policy(mode=Mode.INVEST_CASH), 100),
    ],
    ids=["whole shares", "band edge", "a limit", "cash for a part"],
)
def test_a_plan_that_may_jump_is_valid_at_no_other_prices(policy: Policy, cash: int) -> None:
    held = {"A": 5_000, "B": 2_500, "C": 1_000}
    portfolio = invested(held, policy, cash=Decimal(cash), allocation=percents(A=34, B=33, C=33))
    mode = portfolio.policy.mode
    inputs, result = inputs_at(portfolio, Trigger.MANUAL, mode=mode), at(portfolio, Trigger.MANUAL, mode=mode)
    run = describe_dry_run(inputs, result, portfolio.holdings)
    assert run.orders
    assert run.valid_while == 0


def test_a_dry_run_tells_fees_and_profit_by_average_cost() -> None:
    held = Holding("A", SecurityType.STOCK, Decimal(80), Decimal(40))
    portfolio = invested({}, holdings={"A": held, "B": Holding("B", SecurityType.STOCK)})
    terms = BrokerTerms(commission=Commission(per_order=Decimal(1)))
    quotes = [Quote(symbol, Decimal(1), NOW) for symbol in "AB"]
    inputs = inputs_at(portfolio, Trigger.MANUAL, quotes, terms=terms)
    run = describe_dry_run(inputs, at(portfolio, Trigger.MANUAL, quotes, terms=terms), portfolio.holdings)
    (sell, buy) = run.orders
    assert (sell.symbol, buy.symbol) == ("A", "B")
    assert run.fees == (Decimal("1.00"), Decimal("1.00"))
    assert run.realised_profit == {"A": (sell.notional - 1 - sell.quantity / 2).quantize(Decimal("0.01"))}


def test_without_orders_the_move_is_that_of_the_price_watches() -> None:
    portfolio = invested({"A": 50, "B": 50})
    found, change = (at(portfolio, trigger) for trigger in (Trigger.MANUAL, None))
    run = describe_dry_run(inputs_at(portfolio, Trigger.MANUAL), found, portfolio.holdings)
    assert (run.orders, run.result.reason.code) == ((), "nothing_to_trade")
    assert run.valid_while == change.safe_move
    assert {leg.asset: leg.weight for leg in run.legs} == {"$cash": 0, "A": 50, "B": 50}
