"""A thousand messages on the request queue: some repeated, some unreadable, all out of order."""

import json
import random
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest

from tests.support.moto_state import commits, fast_transactions, stored_items, waiting
from tests.support.system import System, sqs_record

MESSAGES, PORTFOLIOS, DUPLICATES, POISON = 1000, 200, 50, 10
MAX_RECEIVES, WAVE = 5, 20
NOW = datetime.now(UTC)
UNREADABLE = [
    " ",
    "not JSON",
    "{",
    '{"schema_version": 1}',
    '  {"schema_version":2, "type":"rebalance.requested"}\n',
    '{"amount": 1e400, "name": "Größe \\u0000 ✓"}',
    "[" * 5000,
    '{"schema_version":1,"type":"rebalance.requested","tenant_id":"a#b","request_id":"r","user_id":"1","new_allocation":{"x":100}}',
    '{"schema_version":1,"type":"rebalance.requested","tenant_id":"demo","request_id":"r","user_id":"1","new_allocation":{"x":NaN}}',
    "\t" + "9" * 6_000,
]


@pytest.fixture
def dead_letters(system: System) -> Iterator[str]:
    """Return the URL of the dead-letter queue; an unacknowledged message is visible again at once."""
    sqs = boto3.client("sqs")
    url = sqs.create_queue(QueueName="rebalance-requests-dead")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    policy = {"deadLetterTargetArn": arn, "maxReceiveCount": MAX_RECEIVES}
    attributes: Any = {"VisibilityTimeout": "0", "RedrivePolicy": json.dumps(policy)}
    sqs.set_queue_attributes(QueueUrl=system.queue_url, Attributes=attributes)
    with fast_transactions():
        yield url


def requests() -> Iterator[tuple[str, str]]:
    """Yield user id and message body of each request: about five reports for each portfolio, all outside the band."""
    for number in range(MESSAGES - DUPLICATES - POISON):
        user, stocks = f"u{number % PORTFOLIOS}", 61 + number % 20
        message = {
            "schema_version": 1,
            "type": "rebalance.requested",
            "tenant_id": "demo",
            "request_id": f"r{number}",
            "user_id": user,
            "new_allocation": {"stocks": stocks, "bonds": 90 - stocks, "gold": 10},
            "as_of": (NOW - timedelta(seconds=MESSAGES - number)).isoformat(),
        }
        yield user, json.dumps(message)


def send(url: str, bodies: list[str]) -> None:
    """Send the bodies to the queue in batches of ten, as a provider does."""
    for start in range(0, len(bodies), 10):
        batch = enumerate(bodies[start : start + 10])
        entries: Any = [{"Id": str(number), "MessageBody": body, "MessageGroupId": "demo"} for number, body in batch]
        boto3.client("sqs").send_message_batch(QueueUrl=url, Entries=entries)


def drain_queue(system: System) -> Counter[str]:
    """Process messages until the queue is empty; return the number of deliveries of each message id."""
    sqs, deliveries = boto3.client("sqs"), Counter[str]()
    while messages := sqs.receive_message(
        QueueUrl=system.queue_url, MaxNumberOfMessages=10, AttributeNames=["All"]
    ).get("Messages"):
        deliveries.update(message["MessageId"] for message in messages)
        records = [
            sqs_record(message["Body"], message_id=message["MessageId"], **message["Attributes"])
            for message in messages
        ]
        failed = system.invoke_worker(*records)
        for message in messages:
            if message["MessageId"] not in failed:
                sqs.delete_message(QueueUrl=system.queue_url, ReceiptHandle=message["ReceiptHandle"])
    return deliveries


@pytest.mark.volume
def test_a_thousand_messages_have_each_their_effect_once_and_poison_ends_unharmed(
    system: System, dead_letters: str
) -> None:
    ordered = random.Random(2)  # noqa: S311 - the same order in every run
    portfolios = {f"u{n}": system.portfolio(user_id=f"u{n}")["portfolio_id"] for n in range(PORTFOLIOS)}
    good, poison = [body for _, body in requests()], UNREADABLE
    bodies = [*good, *ordered.sample(good, DUPLICATES), *poison]
    assert len(bodies) == MESSAGES
    ordered.shuffle(bodies)
    deliveries = Counter[str]()
    for start in range(0, MESSAGES, WAVE):  # small waves: moto scans the whole queue at every call
        send(system.queue_url, bodies[start : start + WAVE])
        deliveries += drain_queue(system)

    # All messages are acknowledged except poison messages: those move unchanged to the dead-letter queue after the
    # maximum number of receives.
    assert waiting(system.queue_url) == []
    assert sorted(message.body for message in waiting(dead_letters)) == sorted(poison)
    assert Counter(deliveries.values()) == {1: MESSAGES - POISON, MAX_RECEIVES: POISON}

    items = stored_items()
    outcomes = {item["request_id"]["S"]: item for item in items if "request_id" in item}
    assert len(items) == PORTFOLIOS + len(good)
    assert outcomes.keys() == {f"r{number}" for number in range(len(good))}
    assert {item["status"]["S"] for item in outcomes.values()} == {"COMPLETED", "SUPERSEDED"}

    # Each outcome was committed once, and each applied report raised the version of its portfolio by one.
    commit_keys = [commit["dynamodb"]["Keys"] for commit in commits()]
    keys = Counter((key["pk"]["S"], key["sk"]["S"]) for key in commit_keys)
    newest = {json.loads(body)["user_id"]: json.loads(body) for body in good}
    for user, portfolio_id in portfolios.items():
        key = f"T#demo#P#{portfolio_id}"
        mine = [item for item in items if item["pk"]["S"] == key]
        (portfolio,) = [item for item in mine if item["sk"]["S"] == "PORTFOLIO"]
        applied = [item for item in mine if item is not portfolio and item["status"]["S"] == "COMPLETED"]
        assert all(keys[key, item["sk"]["S"]] == 1 for item in mine if item is not portfolio)
        assert int(portfolio["version"]["N"]) == keys[key, "PORTFOLIO"] == 1 + len(applied)
        assert outcomes[newest[user]["request_id"]]["status"]["S"] == "COMPLETED"
        assert (
            portfolio["last_report_rebalance_id"]["S"]
            == outcomes[newest[user]["request_id"]]["sk"]["S"].partition("#")[2]
        )
        assert all(leads_back(item["legs"]["S"]) for item in applied)


def leads_back(legs: str) -> bool:
    """Return True if reported weights plus changes equal the target of the seeded portfolio."""
    columns = json.loads(legs)
    ends = {
        asset: weight + change
        for asset, weight, change in zip(columns["asset"], columns["weight"], columns["change"], strict=True)
    }
    return ends == {"stocks": 60, "bonds": 30, "gold": 10}
