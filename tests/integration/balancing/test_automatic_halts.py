"""A tenant is halted by itself after too many rollbacks or held prices, with one alert; an operator lifts the halt."""

import json
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from functions.balancing_on_check_requested import handler as check_function
from functions.execution_on_execution_requested import handler as execution_function
from tests.support.balancing import OPERATOR
from tests.support.many_portfolios import ManyPortfolios, many_portfolios
from tests.support.moto_state import stored_items
from tests.support.system import MARKET_TABLE, TABLE, System
from trimtab.contracts.quotes import HeldPrice, HoldReason, Quote, quote_key
from trimtab.portfolios.execution.halt_controls import HaltBounds, HaltControl, IncidentIds
from trimtab.portfolios.execution.halts import HaltStore
from trimtab.portfolios.portfolio.policy import Policy
from trimtab.runtime.dynamodb.client import dynamodb_client, get_item
from trimtab.runtime.dynamodb.outbox import events_of
from trimtab.runtime.dynamodb.writes import put_records


@pytest.fixture
def market(system: System, monkeypatch: pytest.MonkeyPatch) -> Iterator[ManyPortfolios]:
    """A market with four portfolios of half A and half B; two rollbacks within an hour halt the tenant."""
    monkeypatch.setenv("HALT_ROLLBACKS", "2")
    with many_portfolios(system, {"A": Decimal(100), "B": Decimal(100)}) as market:
        for _ in range(4):
            market.join({"A": 50, "B": 50}, Policy(), Decimal(10_000), Decimal(50))
        market.settle()
        yield market


def refuse(monkeypatch: pytest.MonkeyPatch, *rules: Any) -> None:
    """Set the scenario of the paper broker."""
    monkeypatch.setenv("PAPER_SCENARIO", json.dumps(rules))
    execution_function.execution_worker.cache_clear()


def halts(market: ManyPortfolios) -> list[Any]:
    """Return the active halts."""
    found: list[Any] = market.system.http("GET", "/halt", authorizer=OPERATOR).json["halts"]
    return found


def alerts() -> list[dict[str, Any]]:
    """Return the events of halts in the stored items."""
    records = [{"dynamodb": {"NewImage": item}} for item in stored_items()]
    return [event for record in records for event in events_of(record) if event["type"] == "orders.halted"]


def rollbacks(*ids: str) -> IncidentIds:
    """Return incidents of the control of rollbacks."""
    return {HaltControl.ROLLBACKS: ids}


def test_repeated_rollbacks_halt_the_tenant_once_until_an_operator_lifts_the_halt(
    market: ManyPortfolios, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse(monkeypatch, {"match": {"symbol": "B", "side": "BUY"}, "refuse": "not today"})
    market.quote({"A": Decimal(140), "B": Decimal(100)})
    market.system.process_checks()
    market.system.process_executions()
    statuses = sorted(rebalance.status.value for number in range(4) if (rebalance := market.newest(number)))
    assert statuses == ["PLANNED", "PLANNED", "ROLLED_BACK", "ROLLED_BACK"]
    (halt,) = halts(market)
    assert (halt["scope"], halt["by"], halt["control"]) == ("tenant", "automatic", "rollbacks")
    (alert,) = alerts()
    assert (alert["tenantid"], alert["data"]["count"], alert["data"]["control"]) == ("demo", 2, "rollbacks")
    assert "DELETE /halt" in alert["data"]["remedy"]
    refuse(monkeypatch)
    assert market.system.http("DELETE", "/halt", authorizer=OPERATOR).status == 204
    assert halts(market) == []
    market.now += timedelta(minutes=10)
    assert market.system.run_sweeper()["resent"] == 2
    market.settle()
    statuses = sorted(rebalance.status.value for number in range(4) if (rebalance := market.newest(number)))
    assert statuses == ["COMPLETED", "COMPLETED", "ROLLED_BACK", "ROLLED_BACK"]


def test_held_prices_that_the_tenant_needs_halt_the_tenant(
    market: ManyPortfolios, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HALT_HELD_PRICES", "2")
    check_function.price_checker.cache_clear()
    for symbol in "AB":
        key = quote_key(symbol)
        quote = Quote.from_item(get_item(dynamodb_client(), MARKET_TABLE, key) or {})
        jump = HeldPrice(
            Decimal(10_000), market.now, "feed", HoldReason.PRICE_JUMP, Decimal(100), Decimal(9_900), market.now
        )
        put_records(dynamodb_client(), MARKET_TABLE, replace(quote, held=jump, version=quote.version + 1))
        assert halts(market) == []
        for portfolio in market.portfolios:
            path = f"/portfolios/{portfolio.portfolio_id}/allocation"
            weights = {"A": 50, "B": 50} if symbol == "B" else {"A": 60, "B": 40}
            assert market.system.http("PUT", path, {"allocation": weights}).status == 200
        market.settle()
    (halt,) = halts(market)
    assert (halt["control"], halt["by"]) == ("held_prices", "automatic")
    assert [alert["data"]["count"] for alert in alerts()] == [2], "a price counts once for all portfolios"


def test_a_redelivered_report_counts_once_and_a_manual_halt_keeps_the_count(system: System) -> None:
    market_store = HaltStore(dynamodb_client(), TABLE, HaltBounds(rollbacks=3))
    with many_portfolios(system, {"A": Decimal(100)}) as market:
        for _ in range(5):
            market_store.record("demo", rollbacks("r-1"), market.now)
        market_store.record("demo", rollbacks("r-2"), market.now)
        assert market_store.reason("demo") is None
        body = {"reason": "The feed looks wrong."}
        assert system.http("PUT", "/halt", body, authorizer=OPERATOR).status == 200
        market_store.record("demo", rollbacks("r-3"), market.now)
        assert market_store.reason("demo") == "The feed looks wrong."
        market_store.switch_off("demo", market.now)
        market.now += timedelta(minutes=1)
        for name in ("r-1", "r-4", "r-5"):
            market_store.record("demo", rollbacks(name), market.now)
        assert market_store.reason("demo") is None, "two since the halt was lifted"
        market_store.record("demo", rollbacks("r-6"), market.now)
        assert "3 rebalances were rolled back" in (market_store.reason("demo") or "")
        assert market_store.reason("acme") is None


def test_refused_plans_and_refused_orders_halt_the_tenant(
    market: ManyPortfolios, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HALT_ROLLBACKS", "0")
    monkeypatch.setenv("HALT_REFUSALS", "3")
    monkeypatch.setenv("MAX_ORDER_NOTIONAL", "100")
    check_function.price_checker.cache_clear()
    refuse(monkeypatch, {"match": {"symbol": "B", "nth": 1}, "refuse": "not today"})
    first, second, *_ = (f"/portfolios/{portfolio.portfolio_id}" for portfolio in market.portfolios)
    for _ in range(2):
        key = {"Idempotency-Key": "a"}
        assert market.system.http("PUT", f"{first}/allocation", {"allocation": {"A": 90, "B": 10}}).status == 200
        asked = market.system.http("POST", f"{first}/rebalances", {}, headers=key)
        assert asked.status == 202, asked.text
        market.settle()
    assert (market.last_check()[0], halts(market)) == ("control_refused", []), "one check and one request, repeated"
    monkeypatch.delenv("MAX_ORDER_NOTIONAL")
    check_function.price_checker.cache_clear()
    assert market.system.http("PUT", f"{second}/allocation", {"allocation": {"A": 60, "B": 40}}).status == 200
    market.settle()
    (halt,) = halts(market)
    assert (halt["control"], halt["by"]) == ("refusals", "automatic")
    assert "3 plans or orders were refused" in halt["reason"]
