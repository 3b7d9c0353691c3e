"""The brake through the real functions: refusals of the broker do not churn a portfolio, and a person is told."""

import json
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from functions.execution_on_execution_requested import handler as execution_function
from tests.support.balancing import OPERATOR
from tests.support.many_portfolios import ManyPortfolios, many_portfolios
from tests.support.moto_state import lose_messages, stored_items
from tests.support.system import TABLE, System, authorized
from tests.support.trading import refused
from trimtab.contracts.events import unpack_events
from trimtab.kernel.clock import format_time
from trimtab.portfolios.portfolio.brake import DEFAULT_LIMITS
from trimtab.portfolios.portfolio.lock import Lock
from trimtab.portfolios.portfolio.policy import Policy
from trimtab.portfolios.portfolio.store import PortfolioStore
from trimtab.runtime.dynamodb.client import dynamodb_client

DAY = timedelta(days=1)


@pytest.fixture
def market(system: System) -> Iterator[ManyPortfolios]:
    """A market of two symbols at 100 with a portfolio of 12,000, half in each."""
    with many_portfolios(system, {"A": Decimal(100), "B": Decimal(100)}) as market:
        market.join({"A": 50, "B": 50}, Policy(cooldown_seconds=86_400), Decimal(12_000), Decimal(60))
        market.settle()
        yield market


def refuse(monkeypatch: pytest.MonkeyPatch, *rules: Any) -> None:
    """Set the scenario of the paper broker."""
    monkeypatch.setenv("PAPER_SCENARIO", json.dumps(rules))
    execution_function.execution_worker.cache_clear()


def home(market: ManyPortfolios) -> str:
    """Return the path of the portfolio."""
    return f"/portfolios/{market.portfolios[0].portfolio_id}"


def rebalances(market: ManyPortfolios) -> list[Any]:
    """Return the views of the rebalances, newest first."""
    items: list[Any] = market.system.http("GET", f"{home(market)}/rebalances").json["items"]
    return items


def alerts() -> list[str]:
    """Return the types of the events in the stored portfolio items."""
    return [
        event.type
        for item in stored_items()
        if "S" in item.get("events", {}) and item["sk"]["S"] == "PORTFOLIO"
        for event in unpack_events(item["events"]["S"])
    ]


def test_ten_quotes_with_a_refused_buy_make_one_rollback_and_one_alert(
    market: ManyPortfolios, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse(monkeypatch, {"match": {"symbol": "B", "side": "BUY"}, "refuse": "not today"})
    seen: list[str] = []
    for number in range(10):
        market.quote({"A": Decimal(140 + 5 * number), "B": Decimal(100)}, seconds=60)
        market.system.process_checks()
        market.system.process_executions()
        seen += alerts()
        market.settle()
    (rolled_back,) = rebalances(market)
    assert (rolled_back["status"], rolled_back["reason"]["code"]) == ("ROLLED_BACK", "order_refused")
    assert seen == ["portfolio.backing_off"]
    code, details = market.last_check()
    assert (code, details["failures"]) == ("backing_off", 1)
    brake = market.portfolio().brake
    assert brake.blocked_until is not None
    assert brake.blocked_until - timedelta(seconds=86_400) <= market.now


def test_the_portfolio_tries_again_at_the_end_of_the_pause_without_a_quote(
    market: ManyPortfolios, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse(monkeypatch, {"match": {"symbol": "B", "side": "BUY"}, "refuse": "not today"})
    market.wave({"A": Decimal(140), "B": Decimal(100)})
    refuse(monkeypatch)
    end = market.portfolio().brake.blocked_until
    assert end is not None
    market.now = end - timedelta(seconds=1)
    market.quote({"A": Decimal("140.1"), "B": Decimal("100.1")}, seconds=0)
    market.settle()
    assert (market.system.run_sweeper()["due"], len(rebalances(market))) == (0, 1)
    market.now = end
    assert market.system.run_sweeper()["due"] == 1
    market.settle()
    assert [each["status"] for each in rebalances(market)] == ["COMPLETED", "ROLLED_BACK"]
    assert market.portfolio().brake.failures == 0


def test_a_person_rebalances_during_the_pause(market: ManyPortfolios, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse(monkeypatch, {"match": {"symbol": "B", "side": "BUY"}, "refuse": "not today"})
    market.wave({"A": Decimal(140), "B": Decimal(100)})
    refuse(monkeypatch)
    market.now += DEFAULT_LIMITS.pause_after(1) / 2
    answer = market.system.http("POST", f"{home(market)}/rebalances", {"request_id": "now"})
    market.settle()
    done = market.system.http("GET", f"{home(market)}/rebalances/{answer.json['rebalance_id']}").json
    assert (done["status"], done["trigger"]) == ("COMPLETED", "manual")


def test_fills_rounded_to_cents_are_reversed_without_any_cash(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse(monkeypatch, {"match": {"symbol": "C", "side": "BUY"}, "refuse": "not today"})
    with many_portfolios(system, dict.fromkeys("ABC", Decimal(100))) as market:
        market.join({"A": 50, "B": 30, "C": 20}, Policy(), Decimal(10_000), Decimal(0))
        market.settle()
        before = {symbol: holding.quantity for symbol, holding in market.portfolio().holdings.items()}
        market.wave({"A": Decimal(130), "B": Decimal(100), "C": Decimal(100)})

        (rolled_back,) = rebalances(market)
        assert {order["symbol"] for order in rolled_back["execution"]["orders"] if order["reverses"]} == {"A", "B"}
        assert rolled_back["status"] == "ROLLED_BACK", rolled_back["reason"]
        assert {symbol: holding.quantity for symbol, holding in market.portfolio().holdings.items()} == before
        assert market.portfolio().cash == 0


def attention(market: ManyPortfolios, **query: str) -> list[Any]:
    """Return the listed portfolios that need a person."""
    answer = market.system.http("GET", "/portfolios", query={"attention": "true", **query})
    assert answer.status == 200, answer.text
    items: list[Any] = answer.json["items"]
    return items


def test_a_permanent_refusal_quarantines_the_symbol_until_an_operator_lifts_the_quarantine(
    market: ManyPortfolios, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse(monkeypatch, {"match": {"symbol": "B", "side": "BUY"}, "refuse": "not tradable", "refusal": "permanent"})
    market.quote({"A": Decimal(140), "B": Decimal(100)})
    market.system.process_checks()
    market.system.process_executions()
    assert alerts() == ["portfolio.backing_off", "symbol.quarantined"]
    market.settle()
    assert market.last_check()[0] == "nothing_to_trade"  # A has no counterpart but the symbol in quarantine
    (rolled_back,) = rebalances(market)
    shown = market.system.http("GET", home(market)).json
    quarantine = shown["quarantine"]["B"]
    assert (quarantine["restriction"], quarantine["reason"]) == ("no_buy", "not tradable")
    assert shown["backing_off"]["failures"] == 1
    (listed,) = attention(market)
    (entry,) = listed["attention"]
    assert (entry["code"], entry["symbol"], entry["rebalance_id"]) == (
        "quarantined",
        "B",
        rolled_back["rebalance_id"],
    )
    assert f"{home(market)}/quarantine/B" in entry["remedy"]
    lift = {"reason": "The broker lists the symbol again."}
    path = f"{home(market)}/quarantine/B"
    refused(market.system.http("DELETE", path, query=lift), 403, "insufficient_scope")
    refused(
        market.system.http("DELETE", f"{home(market)}/quarantine/A", query=lift, authorizer=OPERATOR), 404, "not_found"
    )
    assert market.system.http("DELETE", path, query=lift, authorizer=OPERATOR).status == 204
    assert (market.portfolio().brake.quarantine, attention(market)) == ({}, [])
    audit = market.system.http("GET", f"{home(market)}/rebalances/{rolled_back['rebalance_id']}").json["resolution"]
    assert (audit["lifted"]["B"]["by"], audit["lifted"]["B"]["reason"]) == ("test", lift["reason"])


def test_a_permanently_refused_top_up_quarantines_the_symbol_and_the_rebalance_is_complete(
    market: ManyPortfolios, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse(monkeypatch, {"match": {"symbol": "B", "nth": 2}, "refuse": "restricted", "refusal": "permanent"})
    market.quote({"A": Decimal(140), "B": Decimal(100)})
    market.system.process_checks()
    market.system.process_executions()
    assert (rebalances(market)[0]["status"], alerts()) == ("COMPLETED", ["symbol.quarantined"])
    market.settle()
    assert market.system.http("GET", home(market)).json["quarantine"]["B"]["restriction"] == "no_buy"
    assert [entry["code"] for entry in attention(market)[0]["attention"]] == ["quarantined"]


def test_a_deployment_sets_the_pause_and_the_period_of_a_quarantine(
    market: ManyPortfolios, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BACKOFF_SECONDS", "172800")
    monkeypatch.setenv("MAX_BACKOFF_SECONDS", "172800")
    monkeypatch.setenv("QUARANTINE_SECONDS", "3600")
    refuse(monkeypatch, {"match": {"symbol": "B", "side": "BUY"}, "refuse": "not tradable", "refusal": "permanent"})
    market.wave({"A": Decimal(140), "B": Decimal(100)})
    brake = market.portfolio().brake
    assert brake.blocked_until == market.now + timedelta(days=2)
    assert brake.quarantine["B"].until == market.now + timedelta(hours=1)


def test_a_quarantine_expires_and_the_portfolio_is_checked(
    market: ManyPortfolios, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse(monkeypatch, {"match": {"symbol": "B", "side": "BUY"}, "refuse": "not tradable", "refusal": "permanent"})
    market.wave({"A": Decimal(140), "B": Decimal(100)})
    refuse(monkeypatch)
    market.now += timedelta(seconds=DEFAULT_LIMITS.quarantine_seconds)
    market.quote({"A": Decimal(140), "B": Decimal(100)})
    market.settle()
    market.system.run_sweeper()
    market.settle()
    assert market.portfolio().brake.quarantine == {}
    assert rebalances(market)[0]["status"] == "COMPLETED"
    assert attention(market) == []


def test_repeated_rollbacks_and_stale_portfolios_are_listed_with_the_rebalance_and_the_remedy(
    market: ManyPortfolios, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse(monkeypatch, {"match": {"symbol": "B", "side": "BUY"}, "refuse": "not today"})
    market.wave({"A": Decimal(140), "B": Decimal(100)})
    assert attention(market) == [], "a single rollback needs nobody"
    market.now += DAY
    market.wave({"A": Decimal(150), "B": Decimal(100)})
    newest = rebalances(market)[0]
    (listed,) = attention(market)
    (entry,) = listed["attention"]
    assert (entry["code"], entry["rebalance_id"]) == ("backing_off", newest["rebalance_id"])
    monkeypatch.setenv("REVERSAL_SECONDS", "0")
    refuse(
        monkeypatch,
        {"match": {"symbol": "B"}, "refuse": "not today"},
        {"match": {"symbol": "A", "side": "BUY"}, "refuse": "halted"},
    )
    market.now += 2 * DAY
    market.wave({"A": Decimal(160), "B": Decimal(100)})
    stale = rebalances(market)[0]
    assert stale["status"] == "STALE"
    for query in ({"attention": "true"}, {"status": "STALE"}):
        (listed,) = market.system.http("GET", "/portfolios", query=query).json["items"]
        by_code = {entry["code"]: entry for entry in listed["attention"]}
        assert sorted(by_code) == ["backing_off", "stale"]
        assert by_code["stale"]["rebalance_id"] == stale["rebalance_id"]
        assert f"{home(market)}/resolve" in by_code["stale"]["remedy"]
    assert market.system.http("GET", "/portfolios", query={"status": "ACTIVE"}).json["items"] == []
    other = authorized(user_id="someone-else")
    assert market.system.http("GET", "/portfolios", query={"attention": "true"}, authorizer=other).json["items"] == []


def test_a_rebalance_that_has_sent_orders_and_makes_no_progress_is_listed_until_its_worker_continues(
    market: ManyPortfolios, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAPER_SCENARIO", json.dumps([{"match": {"side": "SELL"}, "latency_seconds": 5}]))
    market.quote({"A": Decimal(140), "B": Decimal(100)})
    market.system.process_checks()
    market.system.process_executions()
    lose_messages()
    (rebalance,) = rebalances(market)
    stuck = 0
    while not stuck:
        assert attention(market) == []
        market.now += timedelta(minutes=10)
        stuck = market.system.run_sweeper()["stuck"]
        lose_messages()
    (listed,) = attention(market)
    (entry,) = listed["attention"]
    assert (rebalance["status"], listed["portfolio_id"]) == ("EXECUTING", market.portfolios[0].portfolio_id)
    assert (entry["code"], entry["rebalance_id"]) == ("stuck", rebalance["rebalance_id"])
    assert f"{home(market)}/rebalances/{rebalance['rebalance_id']}" in entry["remedy"]
    assert attention(market, status="STALE") == []
    cancelled = f"{home(market)}/rebalances/{rebalance['rebalance_id']}/cancel"
    assert market.system.http("POST", cancelled).status in {200, 202}
    assert attention(market) == []


def test_a_cursor_belongs_to_the_filter(market: ManyPortfolios) -> None:
    for _ in range(2):
        market.join({"A": 50, "B": 50}, Policy(), Decimal(12_000), Decimal(60))
    cursor = market.system.http("GET", "/portfolios", query={"limit": "1"}).json["next_cursor"]
    refused(
        market.system.http("GET", "/portfolios", query={"limit": "1", "cursor": cursor, "attention": "true"}),
        400,
        "invalid_cursor",
    )
    refused(
        market.system.http("GET", "/portfolios", query={"limit": "1", "cursor": cursor, "status": "STALE"}),
        400,
        "invalid_cursor",
    )


def test_a_portfolio_that_waits_for_a_halt_or_a_held_price_is_listed(market: ManyPortfolios) -> None:
    halt = {"reason": "The feed looks wrong."}
    assert market.system.http("PUT", "/halt", halt, authorizer=OPERATOR).status == 200
    market.wave({"A": Decimal(140), "B": Decimal(100)})
    since = market.now
    (listed,) = attention(market)
    (entry,) = listed["attention"]
    assert (entry["code"], entry["since"]) == ("halted", format_time(since))
    market.wave({"A": Decimal(150), "B": Decimal(100)})
    assert attention(market)[0]["attention"][0]["since"] == format_time(since), "the first check counts"
    assert market.system.http("DELETE", "/halt", authorizer=OPERATOR).status == 204
    market.now += timedelta(minutes=5)
    market.system.run_sweeper()
    market.settle()
    assert (attention(market), rebalances(market)[0]["status"]) == ([], "COMPLETED")


def test_a_lock_of_a_rebalance_that_has_ended_is_released_by_the_next_check(market: ManyPortfolios) -> None:
    market.wave({"A": Decimal(140), "B": Decimal(100)})
    ended = rebalances(market)[0]
    locked = market.portfolio().take_lock(Lock(ended["rebalance_id"], "it is being rebalanced"), market.now)
    PortfolioStore(dynamodb_client(), TABLE).put(locked)
    market.now += DAY
    market.wave({"A": Decimal(250), "B": Decimal(100)})
    assert market.portfolio().lock is None
    assert [each["status"] for each in rebalances(market)] == ["COMPLETED", "COMPLETED"]
