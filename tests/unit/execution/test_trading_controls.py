"""Pre-trade controls: the tighter limit of deployment and policy holds, and a refusal names its control."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.settings import Controls
from trimtab.portfolios.execution.trading_controls import (
    Control,
    ControlRefusal,
    TradingControls,
    find_control_refusal,
    turnover_allowed,
)
from trimtab.portfolios.execution.wiring import StoreSettings
from trimtab.portfolios.portfolio.holdings import Side
from trimtab.portfolios.portfolio.policy import Policy
from trimtab.portfolios.portfolio.traded_today import TradedToday, add_run, add_turnover
from trimtab.portfolios.rebalancing.orders import PlannedOrder

D = Decimal
NOW = datetime(2026, 11, 20, 15, tzinfo=UTC)
MIDNIGHT = datetime(2026, 11, 21, tzinfo=UTC)
OFF = TradingControls(D(0), D(0), D(0))


def order(quantity: Any = 10, price: Any = 100, limit: Any = 101) -> PlannedOrder:
    """Return a buy of AAPL."""
    return PlannedOrder("AAPL", Side.BUY, D(quantity), D(price), D(limit))


def refusal_of(
    *orders: PlannedOrder,
    controls: TradingControls = OFF,
    policy: Policy | None = None,
    traded: TradedToday | None = None,
    tenant: int = 0,
) -> ControlRefusal | None:
    """Return the refusal of a plan of a portfolio worth 10,000."""
    return find_control_refusal(
        orders or (order(),),
        policy or Policy(),
        controls,
        value=D(10_000),
        traded=traded,
        tenant_notional=D(tenant),
        now=NOW,
    )


@pytest.mark.parametrize(
    ("members", "refused"),
    [
        ({"price_collar": D("1")}, None),
        ({"price_collar": D("0.9")}, (Control.PRICE_COLLAR, D("0.9"), D(1), "AAPL", None)),
        ({"max_order_notional": D(1010)}, None),
        ({"max_order_notional": D(1009)}, (Control.MAX_ORDER_NOTIONAL, D(1009), D(1010), "AAPL", None)),
        ({"max_daily_turnover": D(10)}, None),
        ({"max_daily_turnover": D("9.9")}, (Control.MAX_DAILY_TURNOVER, D("9.9"), D(10), None, MIDNIGHT)),
    ],
)
def test_a_limit_of_deployment_or_policy_refuses_what_is_beyond_it(members: dict[str, Any], refused: Any) -> None:
    expected = ControlRefusal(*refused) if refused else None
    off = {name: getattr(OFF, name) for name in TradingControls.__struct_fields__}
    assert refusal_of(controls=TradingControls(**{**off, **members})) == expected
    assert refusal_of(policy=Policy(**members)) == expected
    assert refusal_of(policy=Policy(**members), controls=TradingControls()) == expected


def test_a_policy_does_not_loosen_a_limit_of_the_deployment() -> None:
    refused = refusal_of(controls=TradingControls(price_collar=D("0.5")), policy=Policy(price_collar=D(50)))
    assert refused is not None
    assert (refused.control, refused.limit) == (Control.PRICE_COLLAR, D("0.5"))


def test_the_totals_of_a_day_count_and_begin_anew_at_midnight() -> None:
    controls = TradingControls(max_daily_turnover=D(20), max_runs_per_day=2)
    today = add_turnover(add_run(None, NOW), D(1001), NOW)
    refused = refusal_of(controls=controls, traded=today)
    assert refused == ControlRefusal(Control.MAX_DAILY_TURNOVER, D(20), D("20.01"), None, MIDNIGHT)
    third = refusal_of(order(1), controls=controls, traded=add_run(add_run(None, NOW), NOW))
    assert third == ControlRefusal(Control.MAX_RUNS_PER_DAY, D(2), D(3), None, MIDNIGHT)
    yesterday = TradedToday(date(2026, 11, 19), D(9_999), 9)
    assert refusal_of(controls=controls, traded=yesterday) is None
    assert turnover_allowed(controls, Policy(), D(10_000), today, NOW) == D(999)
    assert turnover_allowed(OFF, Policy(), D(10_000), today, NOW) is None


def test_the_plans_of_a_tenant_count_together() -> None:
    controls = TradingControls(max_tenant_notional=D(5_000))
    assert refusal_of(controls=controls, tenant=4_000) is None
    refused = refusal_of(controls=controls, tenant=4_001)
    assert refused is not None
    assert refused.details == {"control": "max_tenant_notional", "limit": "5000", "value": "5001"}
    assert refused.message == "The control max_tenant_notional refused the plan: 5001 is beyond 5000."


def test_the_defaults_of_deployment_and_functions_are_the_same() -> None:
    texts = {name.lower(): text for name, text in Controls().settings().items()}
    named = {"portfolios_table": "p", "market_table": "m"}
    assert StoreSettings.model_validate({**named, **texts}).controls == TradingControls()
    assert StoreSettings.model_validate(named).controls == TradingControls()


@given(
    quantity=st.decimals("0.001", 10_000, places=3),
    price=st.decimals("0.01", 1_000, places=2),
    slip=st.decimals(0, 50, places=2),
)
def test_no_order_beyond_a_limit_passes(quantity: Decimal, price: Decimal, slip: Decimal) -> None:
    limit = price * (100 + slip) / 100
    controls = TradingControls(D(10), D(100_000), D(100))
    is_within = slip <= 10 and quantity * limit <= 100_000 and order(quantity, price).notional <= 10_000
    assert (refusal_of(order(quantity, price, limit), controls=controls) is None) == is_within
