"""The brake through the real functions: refusals of the broker do not churn a portfolio, and a person is told."""

import json
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from functions.execution_on_execution_requested import handler as execution_function
from tests.support.many_portfolios import ManyPortfolios, many_portfolios
from tests.support.moto_state import stored_items
from tests.support.system import System
from trimtab.contracts.events import unpack_events
from trimtab.portfolios.portfolio.brake import FIRST_PAUSE
from trimtab.portfolios.portfolio.policy import Policy

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
    market.now += FIRST_PAUSE / 2
    answer = market.system.http("POST", f"{home(market)}/rebalances", {"request_id": "now"})
    market.settle()
    done = market.system.http("GET", f"{home(market)}/rebalances/{answer.json['rebalance_id']}").json
    assert (done["status"], done["trigger"]) == ("COMPLETED", "manual")
