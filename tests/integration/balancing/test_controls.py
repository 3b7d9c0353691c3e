"""Pre-trade controls and shared accounts, from the check to the execution: a refused plan names its control."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.support.many_portfolios import ManyPortfolios
from tests.support.system import forget_cached
from tests.support.two_symbols import joined, moved
from trimtab.portfolios.execution.broker import BrokerTerms
from trimtab.portfolios.execution.brokers import BrokerTermsSettings
from trimtab.portfolios.portfolio.policy import Policy


def statuses(market: ManyPortfolios, number: int = 0) -> list[str]:
    """Return the statuses of a portfolio's rebalances, newest first."""
    path = f"/portfolios/{market.portfolios[number].portfolio_id}/rebalances"
    return [item["status"] for item in market.system.http("GET", path).json["items"]]


def asked(market: ManyPortfolios, key: str, number: int = 0) -> Any:
    """Request a rebalance as a person, and return it when it is decided."""
    path = f"/portfolios/{market.portfolios[number].portfolio_id}/rebalances"
    accepted = market.system.http("POST", path, {}, headers={"Idempotency-Key": key})
    market.settle()
    return market.system.http("GET", accepted.json["links"]["self"]).json


def test_a_plan_beyond_a_control_of_the_policy_is_refused_by_name(market: ManyPortfolios) -> None:
    joined(market, Policy(max_order_notional=Decimal(500)))
    moved(market, A=140, B=100)
    code, details = market.last_check()
    assert (code, details["control"], details["limit"], details["symbol"]) == (
        "control_refused",
        "max_order_notional",
        "500",
        "A",
    )
    assert statuses(market) == []
    rejected = asked(market, "k")
    assert (rejected["status"], rejected["reason"]["code"]) == ("REJECTED", "control_refused")
    assert rejected["reason"]["details"]["control"] == "max_order_notional"


def test_after_the_runs_of_a_day_the_portfolio_waits_for_the_next_day(market: ManyPortfolios) -> None:
    joined(market, Policy(max_runs_per_day=1))
    moved(market, A=140, B=100)
    assert statuses(market) == ["COMPLETED"]
    moved(market, A=100, B=100)
    assert (statuses(market), market.last_check()[0]) == (["COMPLETED"], "control_refused")
    market.now = (market.now + timedelta(days=1)).replace(hour=0, minute=0, second=1)
    assert market.system.run_sweeper()["due"] == 1
    market.settle()
    assert statuses(market) == ["COMPLETED", "COMPLETED"]


def test_what_a_portfolio_trades_a_day_is_limited_in_percent_of_its_value(market: ManyPortfolios) -> None:
    joined(market, Policy(max_daily_turnover=Decimal(25)))
    moved(market, A=140, B=100)
    traded = market.portfolio().traded_today
    assert traded is not None
    assert (traded.runs, 1900 < traded.turnover < 2100) == (1, True)
    moved(market, A=100, B=100)
    assert (statuses(market), market.last_check()[1]["control"]) == (["COMPLETED"], "max_daily_turnover")


def test_the_plans_of_a_tenant_share_a_limit_and_each_counts_once(
    market: ManyPortfolios, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAX_TENANT_NOTIONAL", "3000")
    forget_cached()
    joined(joined(market))
    moved(market, A=140, B=100)
    assert sorted([*statuses(market), *statuses(market, 1)]) == ["COMPLETED"], "the second plan of 2,000 is refused"


def test_a_message_rate_delays_orders_and_loses_none(market: ManyPortfolios, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAX_MESSAGES_PER_MINUTE", "1")
    forget_cached()
    joined(market)
    began = market.now
    moved(market, A=140, B=100)
    for _ in range(12):
        market.now += timedelta(minutes=10)
        market.system.run_sweeper()
        market.settle()
    assert statuses(market) == ["COMPLETED"]
    done = market.newest()
    assert done is not None
    assert done.updated_at - began >= timedelta(minutes=20), "a sell, a buy and a top-up in a minute each"


def test_a_shared_account_trades_for_one_portfolio_until_that_is_closed(
    market: ManyPortfolios, monkeypatch: pytest.MonkeyPatch
) -> None:
    joined(joined(market))
    shared = property(lambda _: BrokerTerms(shared_account="alpaca/keys"))
    monkeypatch.setattr(BrokerTermsSettings, "terms", shared)
    forget_cached()
    moved(market, A=140, B=100)
    traded = [number for number in (0, 1) if statuses(market, number)]
    assert len(traded) == 1
    (first,), (other,) = traded, {0, 1} - {*traded}
    rejected = asked(market, "k", other)
    assert (rejected["status"], rejected["reason"]["code"]) == ("REJECTED", "account_in_use")
    owner = market.portfolios[first].portfolio_id
    assert owner in rejected["reason"]["message"]
    assert market.system.http("DELETE", f"/portfolios/{owner}").status in {200, 204}
    assert asked(market, "again", other)["status"] == "COMPLETED"
