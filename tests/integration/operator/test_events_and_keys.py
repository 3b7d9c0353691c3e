"""Commands that publish events again, repeat deliveries and rotate keys."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import boto3
import pytest
from botocore.client import BaseClient

from tests.support.moto_state import take_messages
from tests.support.operator import Operator
from tests.support.system import BUS, System
from tests.support.webhooks import an_event, log_events


@pytest.fixture
def published(system: System) -> Iterator[list[Any]]:
    """The entries that were put on the bus."""
    entries: list[Any] = []

    def accept(sent: list[Any]) -> Any:
        entries.extend(sent)
        return {"FailedEntryCount": 0, "Entries": [{} for _ in sent]}

    with bus(accept):
        yield entries


@contextmanager
def bus(answer: Callable[[list[Any]], Any]) -> Iterator[None]:
    """Answer each PutEvents of any client with the answer to its entries."""
    call = BaseClient._make_api_call  # type: ignore[attr-defined]

    def answered(client: Any, operation: str, arguments: Any) -> Any:
        return answer(arguments["Entries"]) if operation == "PutEvents" else call(client, operation, arguments)

    with mock.patch.object(BaseClient, "_make_api_call", answered):
        yield


def ids(entries: list[Any]) -> list[str]:
    """Return the ids of the events in entries of the bus."""
    return [json.loads(entry["Detail"])["id"] for entry in entries]


def test_logged_events_are_published_again_in_order_after_a_dry_run(
    system: System, operator: Operator, published: list[Any]
) -> None:
    logged = [an_event(number, type="trade.recorded" if number == 2 else "portfolio.updated") for number in range(3)]
    log_events(system, *logged)
    log_events(system, an_event(9, tenant_id="acme"))

    command = ("events", "replay", "--tenant", "demo", "--rate", "300")
    result = operator.run(*command)
    assert result.stdout.endswith("3 would be published; add --execute to do it\n")
    assert published == []

    assert operator.run(*command, "--execute").stdout.endswith("3 published\n")
    assert ids(published) == [event["id"] for event in logged]
    assert {(entry["EventBusName"], entry["Source"]) for entry in published} == {(BUS, "trimtab")}
    assert [entry["DetailType"] for entry in published] == [event["type"] for event in logged]


@pytest.mark.parametrize(
    ("options", "numbers"), [(["--after", "1"], [2, 3]), (["--limit", "1"], [1]), (["--type", "none"], [])]
)
def test_a_replay_selects_events(system: System, operator: Operator, options: list[str], numbers: list[int]) -> None:
    log_events(system, *map(an_event, range(3)))
    rows = operator.rows("events", "replay", "--tenant", "demo", *options)
    assert [row["number"] for row in rows] == numbers


def test_an_event_that_the_bus_refuses_ends_the_replay_with_its_id(system: System, operator: Operator) -> None:
    log_events(system, an_event(1))
    refused = {"FailedEntryCount": 1, "Entries": [{"ErrorMessage": "too large"}]}
    with bus(lambda _: refused):
        result = operator.run("events", "replay", "--tenant", "demo", "--execute")
    assert (result.exit_code, "too large" in result.stderr, an_event(1)["id"] in result.stderr) == (1, True, True)


def test_undelivered_events_are_published_and_reports_without_events_stay(
    system: System, operator: Operator, published: list[Any]
) -> None:
    operator.queues["events-undelivered"] = system.undelivered_url
    plain, wrapped = an_event(1), an_event(2)
    bodies: list[Any] = [plain, {"detail-type": "x", "detail": wrapped}, {"DDBStreamBatchInfo": {}}, "text"]
    for body in bodies:
        boto3.client("sqs").send_message(QueueUrl=system.undelivered_url, MessageBody=json.dumps(body))

    result = operator.run("events", "publish-undelivered", "--rate", "300")
    assert (result.exit_code, published) == (0, [])
    result = operator.run("events", "publish-undelivered", "--rate", "300", "--execute")
    assert (result.exit_code, result.stdout.splitlines()[-1]) == (1, "2 published")
    assert sorted(ids(published)) == sorted([plain["id"], wrapped["id"]])
    assert len(take_messages(system.undelivered_url)) == 2


def webhook_of(system: System) -> str:
    """Create a webhook whose receiver does not exist, and return the webhook's id."""
    body = {"url": "http://127.0.0.1:9/", "types": ["*"]}
    created = system.http("POST", "/webhooks", body, headers={"Idempotency-Key": "k"})
    return str(created.json["webhook_id"])


def test_deliveries_are_requested_again_for_a_webhook(system: System, operator: Operator) -> None:
    webhook_id = webhook_of(system)
    log_events(system, an_event(1))
    system.process_webhook_deliveries()
    take_messages(system.webhook_deliveries_url)

    command = ("events", "redeliver", webhook_id, "--status", "PENDING")
    assert operator.run("events", "redeliver", webhook_id).stdout == "no deliveries\n"
    assert operator.run(*command).stdout.endswith("1 would be requested; add --execute to do it\n")
    assert take_messages(system.webhook_deliveries_url) == []
    assert operator.run(*command, "--execute").stdout.endswith("1 requested\n")
    assert len(take_messages(system.webhook_deliveries_url)) == 1


def test_a_webhook_gets_a_new_secret_that_is_printed_once(system: System, operator: Operator) -> None:
    webhook_id = webhook_of(system)
    secrets = {operator.rows("keys", "rotate", "webhook", webhook_id)[0]["secret"] for _ in range(2)}
    assert len(secrets) == 2
    assert all(secret.startswith("whsec_") for secret in secrets)


def test_the_key_of_links_is_replaced_only_with_execute(system: System, operator: Operator) -> None:
    name, client = f"{BUS}/links", boto3.client("secretsmanager")
    client.create_secret(Name=name, SecretString="k" * 64)
    assert "add --execute" in operator.run("keys", "rotate", "links").stdout
    assert client.get_secret_value(SecretId=name)["SecretString"] == "k" * 64
    assert operator.run("keys", "rotate", "links", "--execute").exit_code == 0
    assert len(client.get_secret_value(SecretId=name)["SecretString"]) == 64
    assert client.get_secret_value(SecretId=name)["SecretString"] != "k" * 64
