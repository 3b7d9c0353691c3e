"""Commands for dead letters: the list with reasons, dry runs, redrive and deletion."""

import json
from typing import Any
from unittest import mock

import boto3
import pytest
from botocore.exceptions import ClientError

from functions.rebalancing_on_rebalance_requested import handler as worker_function
from infra.operator.dead_letters import DeadLetter, DeadLetterQueue, DeadLetters, Pace
from infra.operator.worker_logs import WorkerLogs
from tests.support.operator import Operator
from tests.support.system import System, forget_cached
from trimtab.kernel.clock import parse_time
from trimtab.runtime.sqs.worker import FIRST_SENT_AT, ORIGINAL_SENDER, REDRIVER

REPORT: dict[str, Any] = {
    "schema_version": 1,
    "type": "rebalance.requested",
    "tenant_id": "demo",
    "request_id": "k",
    "user_id": "1",
    "new_allocation": {"stocks": 70, "bonds": 20, "gold": 10},
}
MOTO_SENDER = "AIDAIT2UOQQY3AUEKVGXU"


def send(operator: Operator, body: Any, queue: str = "rebalance-requests-dead", **arguments: Any) -> str:
    """Put a message on a queue and return the message id."""
    text = body if isinstance(body, str) else json.dumps(body)
    answer = boto3.client("sqs").send_message(QueueUrl=operator.queues[queue], MessageBody=text, **arguments)
    return str(answer["MessageId"])


def size(operator: Operator, queue: str = "rebalance-requests-dead") -> int:
    """Return the number of visible messages in a queue."""
    answer = boto3.client("sqs").get_queue_attributes(QueueUrl=operator.queues[queue], AttributeNames=["All"])
    return int(answer["Attributes"]["ApproximateNumberOfMessages"])


def test_the_list_shows_queue_tenant_kind_reason_age_deliveries_and_the_decoded_body(operator: Operator) -> None:
    message_id = send(operator, REPORT)
    operator.logs.lines = [
        {"message_id": message_id, "message": "message processing failed", "exception": "Traceback\n  …\nX: busy"},
        {"message_id": message_id, "reason": "sender x is not mapped to tenant demo"},
        {"message_id": "another", "reason": "not this one"},
        {"message_id": message_id, "message": "without a reason"},
    ]

    result = operator.run("dead-letters", "list", "--json")

    (row,) = json.loads(result.stdout)
    assert result.exit_code == 1
    assert (row["queue"], row["message_id"]) == ("rebalance-requests", message_id)
    assert (row["tenant"], row["kind"], row["body"]) == ("demo", "rebalance.requested", REPORT)
    assert (row["reason"], row["receives"], row["sender"]) == ("sender x is not mapped to tenant demo", 1, MOTO_SENDER)
    assert row["age"].endswith(" s") or " min" in row["age"]
    (search,) = operator.logs.searches
    assert search["logGroupName"] == "/aws/lambda/on-rebalance-requests"
    assert message_id in search["filterPattern"]
    assert search["startTime"] <= int(parse_time(row["sent_at"]).timestamp() * 1000)


def test_the_reason_of_an_exception_is_the_last_line_of_its_traceback(operator: Operator) -> None:
    message_id = send(operator, REPORT)
    operator.logs.lines = [{"message_id": message_id, "exception": "Traceback\n  File …\nThrottling: slow down"}]
    assert operator.rows("dead-letters", "list")[0]["reason"] == "Throttling: slow down"


def test_a_message_that_is_not_json_is_listed_as_text(operator: Operator) -> None:
    send(operator, "not JSON: {")
    (row,) = operator.rows("dead-letters", "list")
    assert (row["body"], row["tenant"], row["kind"], row["reason"]) == ("not JSON: {", None, None, "not in the log")


def test_failures_of_event_bridge_and_lambda_state_their_reason_themselves(operator: Operator) -> None:
    attributes = {
        name: {"DataType": "String", "StringValue": value}
        for name, value in {"ERROR_CODE": "NO_PERMISSIONS", "ERROR_MESSAGE": "not allowed"}.items()
    }
    event = {"detail-type": "trade.recorded", "detail": {"tenantid": "acme"}}
    send(operator, event, "sweeps-failed", MessageAttributes=attributes)
    failed = {"requestContext": {"condition": "RetriesExhausted"}, "responsePayload": {"errorMessage": "boom"}}
    send(operator, failed, "sweeps-failed")

    rows = {row["reason"]: (row["tenant"], row["kind"]) for row in operator.rows("dead-letters", "list")}

    assert rows == {"NO_PERMISSIONS: not allowed": ("acme", "trade.recorded"), "RetriesExhausted: boom": (None, None)}


def test_a_list_leaves_every_letter_in_the_queue_and_visible(operator: Operator) -> None:
    for number in range(12):
        send(operator, {**REPORT, "request_id": f"r{number}"})
    assert len(operator.rows("dead-letters", "list")) == 12
    assert size(operator) == 12


def test_without_dead_letters_the_exit_code_is_0(operator: Operator) -> None:
    result = operator.run("dead-letters", "list")
    assert (result.exit_code, result.stdout) == (0, "no dead letters\n")


def test_a_dry_run_lists_what_would_be_sent_and_sends_nothing(operator: Operator) -> None:
    send(operator, REPORT)
    result = operator.run("dead-letters", "redrive")
    assert result.exit_code == 0
    assert result.stdout.endswith("1 would be sent; add --execute to do it\n")
    assert (size(operator), size(operator, "rebalance-requests")) == (1, 0)


def test_a_redriven_report_is_decided_once_for_the_tenant_of_its_sender(system: System, operator: Operator) -> None:
    system.portfolio()
    send(operator, REPORT, MessageGroupId="demo")

    result = operator.run("dead-letters", "redrive", "--execute")

    assert (result.exit_code, result.stdout.splitlines()[-1]) == (0, "1 redriven, 0 failed")
    assert (size(operator), size(operator, "rebalance-requests")) == (0, 1)
    with mock.patch.dict("os.environ", SENDER_TENANTS=json.dumps({MOTO_SENDER: [REDRIVER, "demo"]})):
        forget_cached()
        assert system.drain_queue(worker=worker_function) == 1
    (item,) = [item for item in system.items() if item["sk"]["S"].startswith("REBALANCE#")]
    assert item["status"]["S"] == "COMPLETED"


@pytest.mark.parametrize(
    ("options", "sent"),
    [
        (["--tenant", "acme"], {"b"}),
        (["--kind", "quote.received"], {"c"}),
        (["--queue", "rebalance-requests"], {"a", "b", "c"}),
        (["--tenant", "demo", "--kind", "rebalance.requested"], {"a"}),
        (["--tenant", "nobody"], set()),
        (["--message-id", "nobody"], set()),
    ],
)
def test_a_redrive_sends_only_what_the_filter_names(operator: Operator, options: list[str], sent: set[str]) -> None:
    send(operator, {**REPORT, "request_id": "a"})
    send(operator, {**REPORT, "request_id": "b", "tenant_id": "acme"})
    send(operator, {**REPORT, "request_id": "c", "type": "quote.received"})

    assert operator.run("dead-letters", "redrive", "--execute", *options).exit_code == 0

    messages = boto3.client("sqs").receive_message(QueueUrl=operator.system.queue_url, MaxNumberOfMessages=10)
    assert {json.loads(each["Body"])["request_id"] for each in messages.get("Messages", ())} == sent
    assert size(operator) == 3 - len(sent)


def test_a_queue_without_a_worker_is_not_redriven(operator: Operator) -> None:
    result = operator.run("dead-letters", "redrive", "--queue", "sweeps-failed")
    assert result.exit_code == 2
    assert "sweeps-failed has no worker" in result.stderr


def test_an_unknown_queue_is_a_wrong_use_that_names_the_queues(operator: Operator) -> None:
    result = operator.run("dead-letters", "list", "--queue", "nope")
    assert result.exit_code == 2
    assert "Queues: rebalance-requests, sweeps-failed." in result.stderr


def test_a_deletion_needs_execute_and_deletes_what_the_filter_names(operator: Operator) -> None:
    send(operator, REPORT)
    send(operator, {**REPORT, "tenant_id": "acme"})
    command = ("dead-letters", "delete", "--queue", "rebalance-requests", "--tenant", "acme")
    assert operator.run(*command).exit_code == 0
    assert size(operator) == 2
    assert operator.run(*command, "--execute").stdout.endswith("1 deleted, 0 failed\n")
    assert [row["tenant"] for row in operator.rows("dead-letters", "list")] == ["demo"]


def test_a_letter_that_the_queue_refuses_stays_and_the_command_says_so(operator: Operator) -> None:
    send(operator, REPORT)
    failure = ClientError({"Error": {"Code": "InvalidParameterValue", "Message": "too many attributes"}}, "SendMessage")
    with mock.patch.object(DeadLetters, "redrive", side_effect=failure):
        result = operator.run("dead-letters", "redrive", "--execute")
    assert result.exit_code == 1
    assert "too many attributes" in result.stdout
    assert result.stdout.endswith("0 redriven, 1 failed\n")
    assert size(operator) == 1


# The parts below the commands -------------------------------------------------------------------------------------


class Interrupted(Exception):
    """Stands for the interruption of a command by the operator."""


def queue_of(operator: Operator) -> DeadLetterQueue:
    return DeadLetterQueue("rebalance-requests", operator.queues["rebalance-requests-dead"], operator.system.queue_url)


def test_an_interruption_between_two_letters_loses_none_and_shows_all(operator: Operator) -> None:
    for number in range(3):
        send(operator, {**REPORT, "request_id": f"r{number}"})
    letters = DeadLetters(boto3.client("sqs"), wait_seconds=0)
    handled: list[DeadLetter] = []

    def handle(letter: DeadLetter) -> bool:
        if handled:
            raise Interrupted
        handled.append(letter)
        return True

    with pytest.raises(Interrupted):
        letters.visit(queue_of(operator), 10, handle)
    assert size(operator) == 2


def test_an_interruption_after_the_message_was_sent_keeps_the_letter(operator: Operator) -> None:
    send(operator, REPORT)
    letters = DeadLetters(boto3.client("sqs"), wait_seconds=0)

    def handle(letter: DeadLetter) -> bool:
        letters.redrive(letter, operator.system.queue_url)
        raise Interrupted

    with pytest.raises(Interrupted):
        letters.visit(queue_of(operator), 10, handle)
    assert (size(operator), size(operator, "rebalance-requests")) == (1, 1)


def redriven(operator: Operator, role_id: str, **arguments: Any) -> Any:
    """Redrive one letter and return the message that the worker would receive."""
    send(operator, REPORT, **arguments)
    letters = DeadLetters(boto3.client("sqs"), role_id, wait_seconds=0)

    def handle(letter: DeadLetter) -> bool:
        letters.redrive(letter, operator.system.queue_url)
        return True

    letters.visit(queue_of(operator), 10, handle)
    (message,) = boto3.client("sqs").receive_message(
        QueueUrl=operator.system.queue_url, MessageAttributeNames=["All"], AttributeNames=["All"]
    )["Messages"]
    return message


def texts(**attributes: str) -> dict[str, Any]:
    return {name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()}


def test_a_redrive_keeps_body_attributes_and_group_and_names_the_original_sender(operator: Operator) -> None:
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    message = redriven(operator, "AROAOPERATOR", MessageGroupId="demo", MessageAttributes=texts(traceparent=trace))
    values = {name: each["StringValue"] for name, each in message["MessageAttributes"].items()}
    assert values.pop(FIRST_SENT_AT).isdigit()
    assert values == {"traceparent": trace, ORIGINAL_SENDER: MOTO_SENDER}
    assert json.loads(message["Body"]) == REPORT
    assert message["Attributes"]["MessageGroupId"] == "demo"


def test_attributes_that_a_provider_forged_are_replaced(operator: Operator) -> None:
    forged = texts(**{ORIGINAL_SENDER: "AROAFUNCTION:api", FIRST_SENT_AT: "1"})
    message = redriven(operator, "AROAOPERATOR", MessageAttributes=forged)
    assert message["MessageAttributes"][ORIGINAL_SENDER]["StringValue"] == MOTO_SENDER
    assert message["MessageAttributes"][FIRST_SENT_AT]["StringValue"] != "1"


def test_a_second_redrive_keeps_the_original_sender(operator: Operator) -> None:
    first = texts(**{ORIGINAL_SENDER: "AROAPROVIDER:feed", FIRST_SENT_AT: "1767625200123"})
    message = redriven(operator, MOTO_SENDER, MessageAttributes=first)
    assert {name: each["StringValue"] for name, each in message["MessageAttributes"].items()} == {
        ORIGINAL_SENDER: "AROAPROVIDER:feed",
        FIRST_SENT_AT: "1767625200123",
    }


def test_a_pace_waits_between_calls_and_not_before_the_first() -> None:
    waits: list[float] = []
    pace = Pace(0.25, waits.append)
    for _ in range(3):
        pace.wait()
    assert waits == [0.25, 0.25]


def test_a_search_of_the_log_names_at_most_twenty_messages(operator: Operator) -> None:
    logs = WorkerLogs(operator.logs, operator.logs)
    ids = [f"m{number}" for number in range(45)]
    logs.reasons("arn:aws:sqs:us-east-1:1:quotes", ids, parse_time("2026-01-05T15:00:00Z"))
    assert [search["filterPattern"].count("?") for search in operator.logs.searches] == [20, 20, 5]
