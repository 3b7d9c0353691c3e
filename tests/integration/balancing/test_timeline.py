"""The timeline of a rebalance: from the quote or the request to the last posting and event, with times and links."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from functions.execution_on_execution_requested import handler as execution_function
from tests.support.balancing import OPERATOR, Balancing
from tests.support.moto_state import carries_events, commits
from tests.support.system import System, authorized
from trimtab.runtime.dynamodb.outbox import events_of


def scenario(monkeypatch: pytest.MonkeyPatch, *rules: Any) -> None:
    """Set the scenario of the paper broker."""
    monkeypatch.setenv("PAPER_SCENARIO", json.dumps(rules))
    execution_function.execution_worker.cache_clear()


def read(system: System, path: str) -> Any:
    """Return the timeline of the rebalance at a path, after a check of what every timeline keeps."""
    answer = system.http("GET", f"{path}/timeline")
    assert answer.status == 200, answer.text
    entries = answer.json["entries"]
    times = [entry["at"] for entry in entries]
    assert times == sorted(times)
    published = {
        event["id"]: event["type"] for record in commits() if carries_events(record) for event in events_of(record)
    }
    for entry in entries:
        if entry["step"] == "event" and entry["id"] is not None:
            assert published[entry["id"]] == entry["subject"], "the id is that of the published event"
    return answer.json


def steps(view: Any, *kinds: str) -> Sequence[tuple[str, str]]:
    """Return step and subject of the entries, of some kinds only if named."""
    return [(entry["step"], entry["subject"]) for entry in view["entries"] if not kinds or entry["step"] in kinds]


def test_a_quote_leads_to_a_check_a_plan_orders_postings_and_events(mine: Balancing) -> None:
    mine.move(AAPL=140)
    (rebalance,) = mine.rebalances()
    view = read(mine.system, f"{mine.account.home}/rebalances/{rebalance['rebalance_id']}")
    quote, check, planned = view["entries"][:3]
    assert (quote["step"], quote["subject"], quote["details"]) == ("quote", "AAPL", {"price": "140"})
    assert (check["step"], check["subject"]) == ("check", "price")
    assert (planned["step"], planned["subject"]) == ("status", "PLANNED")
    assert steps(view, "status") == [("status", name) for name in ("PLANNED", "EXECUTING", "COMPLETED")]
    orders = {order["client_order_id"]: order["symbol"] for order in rebalance["execution"]["orders"]}
    for kind in ("order_sent", "order_filled", "posting"):
        assert {entry["id"]: entry["subject"] for entry in view["entries"] if entry["step"] == kind} == orders
    assert steps(view, "event") == [("event", "trade.recorded")] * len(orders) + [("event", "rebalance.completed")]
    links = [entry["links"]["trade"] for entry in view["entries"] if entry["step"] == "posting"]
    assert all(mine.system.http("GET", f"/{link.lstrip('./')}").status == 200 for link in links)
    assert len(view["trace_id"]) == 32


def test_a_requested_rebalance_begins_with_the_request(mine: Balancing) -> None:
    mine.quote(AAPL=110)
    rebalance = mine.run("by-hand")
    view = read(mine.system, f"{mine.account.home}/rebalances/{rebalance['rebalance_id']}")
    request = next(entry for entry in view["entries"] if entry["step"] == "request")
    assert (request["subject"], request["id"]) == ("manual", "by-hand")
    assert request["at"][:19] == rebalance["created_at"][:19]
    assert steps(view)[-1][0] == "event"
    assert view["links"]["rebalance"].endswith(rebalance["rebalance_id"])


def test_a_rolled_back_rebalance_tells_the_refusal_and_the_reversal(
    mine: Balancing, monkeypatch: pytest.MonkeyPatch
) -> None:
    scenario(monkeypatch, {"match": {"symbol": "MSFT", "nth": 1}, "refuse": "not today"})
    mine.move(AAPL=140)
    (rebalance,) = mine.rebalances()
    view = read(mine.system, f"{mine.account.home}/rebalances/{rebalance['rebalance_id']}")
    (ended,) = (entry for entry in view["entries"] if entry["step"] == "order_ended")
    assert (ended["subject"], ended["details"]) == ("MSFT", {"side": "BUY", "reason": "not today"})
    assert [subject for _, subject in steps(view, "order_filled")] == ["AAPL", "AAPL"]
    assert [subject for _, subject in steps(view, "status")][-2:] == ["COMPENSATING", "ROLLED_BACK"]
    assert steps(view, "event")[-1] == ("event", "rebalance.rolled_back")


def test_a_stale_rebalance_tells_its_resolution(mine: Balancing, monkeypatch: pytest.MonkeyPatch) -> None:
    bought_back = {"match": {"symbol": "AAPL", "side": "BUY"}, "refuse": "halted"}
    scenario(monkeypatch, {"match": {"symbol": "MSFT"}, "refuse": "not today"}, bought_back)
    monkeypatch.setenv("REVERSAL_SECONDS", "0")
    mine.move(AAPL=140)
    (rebalance,) = mine.rebalances()
    path = f"{mine.account.home}/rebalances/{rebalance['rebalance_id']}"
    assert [subject for _, subject in steps(read(mine.system, path), "status")][-1] == "STALE"
    body = {"reason": "The broker says so.", "holdings": {"AAPL": "42"}}
    assert mine.system.http("POST", f"{mine.account.home}/resolve", body, authorizer=OPERATOR).status == 200
    view = read(mine.system, path)
    assert [subject for _, subject in steps(view, "status")][-2:] == ["STALE", "RESOLVED"]
    (resolution,) = (entry for entry in view["entries"] if entry["step"] == "resolution")
    assert resolution["details"] == {"by": "test"}


def test_a_drift_report_has_a_timeline_without_orders(system: System) -> None:
    portfolio = system.portfolio()
    report = {"user_id": "1", "request_id": "r1", "new_allocation": {"stocks": 70, "bonds": 20, "gold": 10}}
    accepted = system.http("POST", "/rebalance", report).json
    path = f"/portfolios/{portfolio['portfolio_id']}/rebalances/{accepted['rebalance_id']}"
    assert steps(read(system, path)) == [("request", "report")]
    system.drain_queue()
    expected = [("request", "report"), ("check", "report"), ("status", "COMPLETED"), ("event", "rebalance.completed")]
    assert steps(read(system, path)) == expected


def test_another_tenant_reads_no_timeline(mine: Balancing) -> None:
    mine.move(AAPL=140)
    (rebalance,) = mine.rebalances()
    path = f"{mine.account.home}/rebalances/{rebalance['rebalance_id']}/timeline"
    assert mine.system.http("GET", path, authorizer=authorized("other")).status == 404
    assert mine.system.http("GET", path, authorizer=authorized(user_id="2")).status == 404
    assert mine.system.http("GET", path, authorizer=authorized(scope="trades:read")).status == 403
