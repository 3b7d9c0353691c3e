"""One trace from the request through queues, items, events and webhooks; log lines name what they are about."""

import io
import json
from datetime import timedelta
from typing import Any

import boto3
import pytest

from functions.balancing_on_sweep import handler as sweep_function
from tests.support.balancing import Balancing, balanced
from tests.support.moto_state import carries_events, commits, fast_transactions, lose_messages, stored_items
from tests.support.system import System, receive_batch, record_of
from tests.support.webhooks import create_webhook, delivery_run, receiving, send_events
from trimtab.contracts.traces import unpack_trace
from trimtab.kernel import clock
from trimtab.runtime.dynamodb.outbox import events_of

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
SENT = {"traceparent": f"00-{TRACE_ID}-00f067aa0ba902b7-01"}
REPORT = {"user_id": "1", "request_id": "r1", "new_allocation": {"stocks": 70, "bonds": 20, "gold": 10}}


def forget(log: io.StringIO) -> None:
    """Empty the log."""
    log.seek(0)
    log.truncate()


def lines(log: io.StringIO) -> list[Any]:
    """Return the log lines, parsed."""
    return [json.loads(line) for line in log.getvalue().splitlines()]


def parts(traceparent: str) -> list[str]:
    """Return version, trace id, parent id and flags."""
    return traceparent.split("-")


def trace_id_of(item: Any) -> str:
    """Return the trace id of a stored item."""
    trace = unpack_trace(item["trace"]["S"])
    assert trace is not None
    return trace.trace_id


def events() -> list[Any]:
    """Return the events that the publisher would put on the bus."""
    return [event for record in commits() if carries_events(record) for event in events_of(record)]


def test_a_trace_goes_from_the_request_through_queue_item_and_event(system: System, log: io.StringIO) -> None:
    portfolio = system.portfolio()
    accepted = system.http("POST", "/rebalance", REPORT, headers=SENT).json
    (message,) = receive_batch(system.queue_url, 10)
    record = record_of(message)
    traceparent = record["messageAttributes"]["traceparent"]["stringValue"]
    forget(log)
    assert system.invoke_worker(record) == set()
    (event,) = (event for event in events() if event["type"] == "rebalance.completed")
    hops = [SENT["traceparent"], traceparent, event["traceparent"]]
    assert {parts(hop)[1] for hop in hops} == {TRACE_ID}
    assert len({parts(hop)[2] for hop in hops}) == 3, "each hop has a parent id of its own"
    decided = [line for line in lines(log) if line["level"] == "INFO"]
    expected = ("demo", portfolio["portfolio_id"], accepted["rebalance_id"], TRACE_ID)
    names = ("tenant_id", "portfolio_id", "rebalance_id", "trace_id")
    assert [tuple(line.get(name) for name in names) for line in decided] == [expected]


def test_a_traceparent_changes_no_id_and_no_request_hash(system: System) -> None:
    system.portfolio()
    first = system.http("POST", "/rebalance", REPORT, headers=SENT)
    again = system.http("POST", "/rebalance", REPORT, headers={"traceparent": "nonsense"}, request_id="another")
    assert (first.status, again.status, first.json) == (202, 202, again.json)


def test_a_retry_continues_the_stored_trace(system: System) -> None:
    system.portfolio()
    system.http("POST", "/rebalance", REPORT, headers=SENT)
    lose_messages()
    system.http("POST", "/rebalance", REPORT, headers={"traceparent": f"00-{'a' * 32}-{'b' * 16}-01"})
    (message,) = receive_batch(system.queue_url, 10)
    traceparent = message["MessageAttributes"]["traceparent"]["StringValue"]
    assert parts(traceparent)[1] == TRACE_ID


def test_the_sweeper_continues_the_stored_trace(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    system.portfolio()
    system.http("POST", "/rebalance", REPORT, headers=SENT)
    lose_messages()
    later = clock.utc_now() + timedelta(minutes=6)
    monkeypatch.setattr(sweep_function, "utc_now", lambda: later)
    sweep_function.sweeper.cache_clear()
    assert system.run_sweeper()["resent"] == 1
    (message,) = receive_batch(system.queue_url, 10)
    assert parts(message["MessageAttributes"]["traceparent"]["StringValue"])[1] == TRACE_ID
    sweep_function.sweeper.cache_clear()


def test_a_sender_on_the_queue_may_give_a_trace_and_a_malformed_one_starts_another(system: System) -> None:
    system.portfolio()
    bodies = [
        {"schema_version": 1, "type": "rebalance.requested", "tenant_id": "demo", **REPORT, "request_id": request_id}
        for request_id in ("good", "bad")
    ]
    attributes = [SENT["traceparent"], SENT["traceparent"].upper()]
    for body, traceparent in zip(bodies, attributes, strict=True):
        boto3.client("sqs").send_message(
            QueueUrl=system.queue_url,
            MessageBody=json.dumps(body),
            MessageAttributes={"traceparent": {"DataType": "String", "StringValue": traceparent}},
        )
    system.drain_queue()
    traces = {
        item["request_id"]["S"]: trace_id_of(item)
        for item in stored_items()
        if item["sk"]["S"].startswith("REBALANCE#")
    }
    assert traces["good"] == TRACE_ID
    assert traces["bad"] != TRACE_ID


def test_a_quote_and_its_rebalance_with_orders_share_a_trace(system: System) -> None:
    with fast_transactions():
        mine: Balancing = balanced(system)
        mine.move(AAPL=140)
    (rebalance,) = mine.rebalances()
    path = f"{mine.account.home}/rebalances/{rebalance['rebalance_id']}/timeline"
    trace_id = mine.system.http("GET", path).json["trace_id"]
    about = [event for event in events() if event["data"].get("rebalance_id") == rebalance["rebalance_id"]]
    fills = {order["client_order_id"] for order in rebalance["execution"]["orders"]}
    about += [event for event in events() if event["data"].get("ref_id") in fills]
    assert len(about) == 1 + len(fills)
    assert {parts(event["traceparent"])[1] for event in about} == {trace_id}


def test_a_webhook_has_the_trace_of_its_event(system: System) -> None:
    system.http("POST", "/portfolio", {"user_id": "1", "allocation": {"stocks": 60, "bonds": 40}}, headers=SENT)
    (event,) = events()
    with receiving() as receiver, delivery_run(system) as run:
        create_webhook(system, receiver.url)
        send_events(system, event)
        system.process_webhook_events()
        run.finish()
        (request,) = receiver.requests
    traceparent = request.headers["traceparent"]
    assert parts(traceparent)[1] == TRACE_ID
    assert parts(traceparent)[2] != parts(event["traceparent"])[2]
    assert json.loads(request.body)["traceparent"] == event["traceparent"]
    (logged,) = system.http("GET", "/events").json["items"]
    assert logged["traceparent"] == event["traceparent"]


def test_log_lines_of_a_request_name_tenant_portfolio_and_rebalance(system: System, log: io.StringIO) -> None:
    portfolio = system.portfolio()
    accepted = system.http("POST", "/rebalance", REPORT).json
    ids = {"portfolio_id": portfolio["portfolio_id"], "rebalance_id": accepted["rebalance_id"]}
    forget(log)
    system.http("GET", f"/portfolios/{ids['portfolio_id']}/rebalances/{ids['rebalance_id']}", headers=SENT)
    system.http("GET", "/portfolios/ada@example.com", headers=SENT)
    known, foreign = lines(log)[0], lines(log)[-1]
    assert {**ids, "tenant_id": "demo", "trace_id": TRACE_ID}.items() <= known.items()
    assert "portfolio_id" not in foreign
    assert "ada@" not in log.getvalue()
