"""The main job and the edges of the deployed system, over HTTP and over the queue."""

import json
from datetime import UTC, datetime
from typing import Any

from infra.local import demo
from tests.e2e import listening
from tests.e2e.conftest import System
from trimtab.contracts.events import Event, cloud_event

EXPECTED = [("SELL", "stocks", "10.0000"), ("BUY", "bonds", "10.0000")]


def test_a_drift_report_over_http_ends_in_the_transactions_that_lead_back(system: System) -> None:
    outcome = demo.run(system.client(tenant="http"))

    assert outcome["status"] == "COMPLETED"
    assert _transactions(outcome) == EXPECTED


def test_a_drift_report_put_on_the_queue_by_a_provider_has_the_same_effect(system: System) -> None:
    client = system.client(tenant="queue")
    portfolio_id = client.post("/portfolio", demo.PORTFOLIO).json["portfolio_id"]
    message = {
        "schema_version": 1,
        "type": "rebalance.requested",
        "tenant_id": "queue",
        "request_id": "provider-1",
        **demo.REPORT,
    }
    queue = system.stack.queues["rebalance-requests"]
    for _ in range(2):
        system.aws("sqs").send_message(QueueUrl=queue, MessageBody=json.dumps(message))

    listed = demo.poll(
        lambda: client.get(f"/portfolios/{portfolio_id}/rebalances").json["items"],
        lambda items: bool(items) and items[0]["status"] not in demo.PENDING,
        "the message had no effect",
        120,
    )

    assert [_transactions(each) for each in listed] == [EXPECTED]


def test_what_a_commit_carries_is_published_on_the_bus(system: System) -> None:
    client = system.client(tenant="published")
    portfolio_id = client.post("/portfolio", demo.PORTFOLIO).json["portfolio_id"]
    ours = {"detail-type": ["rebalance.completed"], "detail": {"data": {"portfolio_id": [portfolio_id]}}}
    with listening.bus(system, ours) as queue:
        outcome = demo.run(client)
        event = json.loads(listening.received(system, queue))["detail"]

    assert event["specversion"] == "1.0"
    assert event["data"]["rebalance_id"] == outcome["rebalance_id"]


def test_no_token_a_broken_one_and_an_expired_one_are_refused_with_a_problem(system: System) -> None:
    expired = system.issuer.token(seconds=-3600)

    for client in (system.anonymous(), system.anonymous("broken"), system.anonymous(expired)):
        answer = client.get("/portfolios")
        assert answer.status == 401
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert answer.json["trace_id"]


def test_an_unknown_route_is_a_problem_too(system: System) -> None:
    answer = system.client().get("/nowhere")

    assert answer.status == 404
    if system.cloud_name == "local":  # LocalStack takes only the status of a gateway response
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.json["type"] == "urn:trimtab:problem:no_route"


def test_a_portfolio_of_another_tenant_is_not_there(system: System) -> None:
    portfolio_id = system.client(tenant="one").post("/portfolio", demo.PORTFOLIO).json["portfolio_id"]

    assert system.client(tenant="two").get(f"/portfolios/{portfolio_id}").status == 404


def test_health_needs_no_token(system: System) -> None:
    answer = system.anonymous().get("/health")

    assert answer.status == 200
    assert answer.json["status"] == "ok"


def test_an_event_that_somebody_has_to_see_reaches_the_alerts_topic(system: System) -> None:
    topics = system.aws("sns").list_topics()["Topics"]
    (topic,) = (each["TopicArn"] for each in topics if each["TopicArn"].endswith("-alerts"))
    with listening.queue(system) as (queue, arn):
        system.aws("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
        entry = {"EventBusName": system.stack.event_bus, "Source": "trimtab", "DetailType": "rebalance.stuck"}
        stuck = Event("rebalance.stuck", {"rebalance_id": "r1", "portfolio_id": "p1"})
        event = cloud_event(stuck, id="e1", tenant_id="demo", time=datetime(2026, 11, 20, tzinfo=UTC))
        system.aws("events").put_events(Entries=[{**entry, "Detail": json.dumps(event)}])
        published = json.loads(listening.received(system, queue))

        assert published["Subject"] == "Trimtab: Rebalance request undecided"
        assert f"{system.stack.api_url}/portfolios/p1/rebalances/r1\n" in published["Message"]


def test_what_nobody_can_read_ends_unharmed_among_the_dead_letters_and_can_be_moved_back(
    system: System, unreadable: str
) -> None:
    dead = system.stack.queues["rebalance-requests-dead"]

    assert listening.received(system, dead, patience_seconds=180) == unreadable

    if system.cloud_name == "localstack":  # the local AWS knows no move tasks
        system.aws("sqs").start_message_move_task(SourceArn=listening.arn_of(system, dead))


def _transactions(rebalance: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(each["action"], each["asset"], each["rebalance_percent"]) for each in rebalance["transactions"]]
