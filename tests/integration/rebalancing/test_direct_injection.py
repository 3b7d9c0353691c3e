"""Messages that a provider puts on the queue itself: the same effect as over HTTP, and every refusal on record."""

import json
import time
from collections.abc import Callable
from typing import Any
from unittest import mock

import boto3
import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError

from tests.support.system import System, forget_cached, sqs_record
from trimtab.contracts.events import unpack_events
from trimtab.portfolios.portfolio.model import portfolio_id_of
from trimtab.portfolios.rebalancing.model import rebalance_id_of

TARGET = {"stocks": 60, "bonds": 30, "gold": 10}
WEIGHTS = {"stocks": 70, "bonds": 20, "gold": 10}
MESSAGE: dict[str, Any] = {
    "schema_version": 1,
    "type": "rebalance.requested",
    "tenant_id": "demo",
    "request_id": "k",
    "user_id": "1",
    "new_allocation": WEIGHTS,
}
GONE = object()


def record(message: Any = None, **changes: Any) -> Any:
    """A record of the queue, sent just now; `GONE` takes a member away."""
    text = message if isinstance(message, str) else {k: v for k, v in (MESSAGE | changes).items() if v is not GONE}
    body = text if isinstance(text, str) else json.dumps(text)
    return sqs_record(body, SentTimestamp=str(int(time.time() * 1000)))


def stored(system: System, kind: str = "REBALANCE#") -> list[dict[str, Any]]:
    """The stored items of a kind."""
    return [item for item in system.items() if item["sk"]["S"].startswith(kind)]


def path_of(request_id: str = "k", user_id: str = "1") -> str:
    """Return the path of the rebalance that a message asked for."""
    portfolio_id = portfolio_id_of("demo", user_id, "default")
    return f"/portfolios/{portfolio_id}/rebalances/{rebalance_id_of(portfolio_id, request_id)}"


def test_a_message_has_the_effect_of_the_request_and_is_read_over_http(system: System) -> None:
    system.portfolio()
    assert system.invoke_worker(record()) == set()
    done = system.http("GET", path_of()).json
    assert done["status"] == "COMPLETED"
    assert [(each["action"], each["asset"], each["rebalance_percent"]) for each in done["transactions"]] == [
        ("SELL", "stocks", "10.0000"),
        ("BUY", "bonds", "10.0000"),
    ]


def test_a_message_without_as_of_counts_from_the_time_at_which_the_message_was_sent(system: System) -> None:
    system.portfolio()
    assert system.invoke_worker(sqs_record(json.dumps(MESSAGE), SentTimestamp="1000000000123")) == set()
    assert system.http("GET", path_of()).json["as_of"] == "2001-09-09T01:46:40.123000Z"
    assert system.invoke_worker(record(request_id="k2", as_of="2002-01-01T01:00:00+01:00")) == set()
    assert system.http("GET", path_of("k2")).json["as_of"] == "2002-01-01T00:00:00.000000Z"


@pytest.mark.parametrize("as_of", [GONE, "2026-01-01T00:00:00Z"])
@pytest.mark.parametrize("http_first", [False, True])
def test_a_message_and_a_request_with_the_same_id_are_the_same_report(
    system: System, http_first: bool, as_of: Any
) -> None:
    system.portfolio()
    report = {"user_id": "1", "new_allocation": {"gold": "10", "bonds": "20.0", "stocks": 70}, "request_id": "k"}
    report |= {} if as_of is GONE else {"as_of": as_of}
    steps: list[Callable[[], Any]] = [
        lambda: system.invoke_worker(record(as_of=as_of)),
        lambda: system.http("POST", "/rebalance", report),
    ]
    for step in (steps[::-1] if http_first else steps) * 2:
        step()
        system.drain_queue()
    assert system.http("POST", "/rebalance", report).status == 202
    assert len(stored(system)) == 1
    assert stored(system, "PORTFOLIO")[0]["version"]["N"] == "2"
    assert system.http("GET", path_of()).json["status"] == "COMPLETED"


def test_a_duplicate_in_one_batch_or_ten_later_ones_changes_nothing(system: System) -> None:
    system.portfolio()
    assert system.invoke_worker(*(sqs_record(json.dumps(MESSAGE), message_id=f"m{n}") for n in range(3))) == set()
    before = system.items()
    for number in range(10):
        assert system.invoke_worker(sqs_record(json.dumps(MESSAGE), message_id=f"again-{number}")) == set()
    assert system.items() == before


OUTCOMES: list[tuple[str, dict[str, Any], str, str]] = [
    ("unknown portfolio", {"user_id": "9"}, "REJECTED", "unknown_portfolio"),
    ("closed", {"user_id": "closed"}, "REJECTED", "closed"),
    ("no target", {"user_id": "untargeted"}, "REJECTED", "no_target"),
    ("out of range", {"new_allocation": {"a": 101, "b": -1}}, "REJECTED", "weight_out_of_range"),
    ("below 100", {"new_allocation": {"stocks": "99.9999"}}, "REJECTED", "not_100"),
    ("decimals", {"new_allocation": {"stocks": 33.333333333333336, "gold": "66.7"}}, "REJECTED", "too_many_decimals"),
    ("far above 100", {"new_allocation": {f"a{n}": 100 for n in range(90)}}, "REJECTED", "not_100"),
    ("future", {"as_of": "2999-01-01T00:00:00Z"}, "REJECTED", "as_of_in_future"),
    ("stale", {"as_of": "2001-01-01T00:00:00Z"}, "SUPERSEDED", "stale_as_of"),
    ("on target", {"new_allocation": TARGET}, "NO_ACTION", "within_band"),
]


@pytest.mark.parametrize(
    ("change", "status", "rule"), [case[1:] for case in OUTCOMES], ids=[case[0] for case in OUTCOMES]
)
def test_a_report_that_a_rule_refuses_is_recorded_with_its_event(
    system: System, change: dict[str, Any], status: str, rule: str
) -> None:
    system.portfolio()
    system.invoke_worker(record(request_id="first"))
    system.http("POST", "/portfolio", {"user_id": "untargeted"})
    system.http("DELETE", f"/portfolios/{system.portfolio('closed')['portfolio_id']}")
    assert system.invoke_worker(record(**change)) == set()
    (item,) = (each for each in stored(system) if each["request_id"]["S"] == "k")
    (event,) = unpack_events(item["events"]["S"])
    assert event.type == ("rebalance.completed" if status == "NO_ACTION" else "rebalance.rejected")
    assert (event.data["status"], event.data["reason_code"], item["status"]["S"]) == (status, rule, status)
    user = change.get("user_id", "1")
    if user != "9":
        done = system.http("GET", path_of(user_id=user)).json
        assert (done["status"], done["reason"]["code"], done["transactions"]) == (status, rule, [])
    before = system.items()
    assert system.invoke_worker(record(**change)) == set()
    assert system.items() == before


def test_a_second_body_under_a_request_id_is_recorded_as_refused_and_the_first_outcome_stays(system: System) -> None:
    system.portfolio()
    for weights in (WEIGHTS, TARGET, TARGET):
        assert system.invoke_worker(record(new_allocation=weights)) == set()
    assert sorted(each["status"]["S"] for each in stored(system)) == ["COMPLETED", "REJECTED"]
    assert system.http("GET", path_of()).json["status"] == "COMPLETED"
    rules = [unpack_events(item["events"]["S"])[0].data["reason_code"] for item in stored(system)]
    assert sorted(rules) == ["outside_band", "request_id_reused"]


POISON: dict[str, Any] = {
    "no JSON": "oops",
    "nothing": "",
    "an array": "[]",
    "a number": "1",
    "unterminated": '{"schema_version": 1',
    "nested deep": "[" * 100_000,
    "oversize": json.dumps({**MESSAGE, "name": "x" * 65_536}),
    "a key twice": json.dumps(MESSAGE)[:-1] + ', "tenant_id": "acme"}',
    "NaN": json.dumps({**MESSAGE, "new_allocation": {"a": float("nan")}}),
    "a lone surrogate": json.dumps({**MESSAGE, "new_allocation": {"\ud800": 100}}),
    "schema version 2": {"schema_version": 2},
    "schema version 0": {"schema_version": 0},
    "schema version true": {"schema_version": True},
    "schema version as text": {"schema_version": "1"},
    "no schema version": {"schema_version": GONE},
    "another type": {"type": "quote.received"},
    "an unknown member": {"note": "hi"},
    "no request id": {"request_id": GONE},
    "a tenant that forges a key": {"tenant_id": "demo#P"},
    "a Cyrillic asset": {"new_allocation": {"\u0430": 100}},
    "91 assets": {"new_allocation": {f"a{n}": 1 for n in range(91)}},
    "a time without offset": {"as_of": "2026-01-01T00:00:00"},
}


@pytest.mark.parametrize("poison", POISON.values(), ids=POISON)
@pytest.mark.parametrize("position", [0, 1])
def test_an_invalid_message_is_returned_and_the_others_of_the_batch_are_decided(
    system: System, poison: Any, position: int
) -> None:
    system.portfolio()
    bad = record(poison) if isinstance(poison, str) else record(**poison)
    good = record(request_id="good")
    bad["messageId"], good["messageId"] = "bad", "good"
    assert system.invoke_worker(*([bad, good] if position == 0 else [good, bad])) == {"bad"}
    assert [each["request_id"]["S"] for each in stored(system)] == ["good"]


def test_a_batch_of_invalid_messages_returns_every_message(system: System) -> None:
    assert system.invoke_worker(*(sqs_record("x", message_id=f"m{n}") for n in range(10))) == {
        f"m{n}" for n in range(10)
    }


@pytest.mark.parametrize(
    ("mapping", "sender", "is_admitted"),
    [
        ({"AROAX": ["demo"]}, "AROAX:session", True),
        ({"AROAX": ["demo"]}, "AROAX", True),
        ({"AROAX": ["acme"]}, "AROAX:demo", False),
        ({"AROAX": ["acme", "demo"]}, "AROAX:s", True),
        ({"AROAX": ["demo"]}, "AROAXX:s", False),
        ({"AROAX": ["demo"]}, "other:AROAX", False),
        ({"AROAX": ["*"]}, "AROAX:s", True),
        ({"*": ["demo"]}, "anybody:s", True),
        ({"*": ["acme"]}, "anybody:s", False),
        ({"AROAX": ["acme"], "*": ["demo"]}, "AROAX:s", True),
        ({}, "AROAX:s", False),
        ({"": ["acme"]}, "", False),
    ],
)
def test_a_sender_may_send_for_its_own_tenants_only(
    system: System, mapping: dict[str, list[str]], sender: str, is_admitted: bool
) -> None:
    system.portfolio()
    message = record()
    message["attributes"]["SenderId"] = sender
    with mock.patch.dict("os.environ", SENDER_TENANTS=json.dumps(mapping)):
        forget_cached()
        returned = system.invoke_worker(message)
    assert returned == (set() if is_admitted else {message["messageId"]})
    assert bool(stored(system)) is is_admitted


@pytest.mark.parametrize("code", ["ThrottlingException", "InternalServerError", "TransactionCanceledException"])
@pytest.mark.parametrize("operation", ["BatchGetItem", "TransactWriteItems"])
def test_a_failure_of_the_table_returns_the_message_and_a_later_delivery_decides_it(
    system: System, operation: str, code: str
) -> None:
    system.portfolio()
    call = BaseClient._make_api_call  # type: ignore[attr-defined]

    def failing(client: Any, name: str, arguments: Any) -> Any:
        if name == operation:
            raise ClientError({"Error": {"Code": code, "Message": "no"}}, name)
        return call(client, name, arguments)

    message = record()
    with mock.patch.object(BaseClient, "_make_api_call", failing):
        assert system.invoke_worker(message) == {message["messageId"]}
    assert stored(system) == []
    assert system.invoke_worker(message) == set()
    assert system.http("GET", path_of()).json["status"] == "COMPLETED"


def test_a_report_that_came_before_its_portfolio_stays_refused_and_the_next_one_is_decided(system: System) -> None:
    system.invoke_worker(record())
    system.portfolio()
    assert system.http("GET", path_of()).json["reason"]["code"] == "unknown_portfolio"
    system.invoke_worker(record(request_id="k2"))
    assert system.http("GET", path_of("k2")).json["status"] == "COMPLETED"


def test_events_of_decisions_reach_the_bus(system: System) -> None:
    sqs, events = boto3.client("sqs"), boto3.client("events")
    url = sqs.create_queue(QueueName="listener")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    events.put_rule(Name="all", EventBusName="trimtab", EventPattern='{"source": ["trimtab"]}')
    events.put_targets(Rule="all", EventBusName="trimtab", Targets=[{"Id": "q", "Arn": arn}])
    system.portfolio()
    for is_decided in (False, True):
        if is_decided:
            assert system.invoke_worker(record()) == set()
        answer = system.publish_events([{"dynamodb": {"NewImage": item}} for item in system.items()])
        assert answer == {"batchItemFailures": []}
    received = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    details = [json.loads(message["Body"]) for message in received]
    assert sorted(each["detail-type"] for each in details) == ["portfolio.created", "rebalance.completed"]
    assert all(
        each["detail"]["tenantid"] == "demo" and each["detail"]["type"] == each["detail-type"] for each in details
    )
    assert len({each["detail"]["id"] for each in details}) == 2
