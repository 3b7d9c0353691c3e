"""Temporary queues that receive what the deployed system publishes."""

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from infra.local import demo
from tests.e2e.conftest import System


@contextmanager
def queue(system: System) -> Iterator[tuple[str, str]]:
    """Provide a temporary queue, to which SNS and EventBridge may send: its URL and its ARN."""
    sqs = system.aws("sqs")
    url = sqs.create_queue(QueueName=f"e2e-{uuid.uuid4().hex[:8]}")["QueueUrl"]
    arn = arn_of(system, url)
    senders = {"Service": ["sns.amazonaws.com", "events.amazonaws.com"]}
    statement = {"Effect": "Allow", "Principal": senders, "Action": "sqs:SendMessage", "Resource": arn}
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(policy)})
    try:
        yield url, arn
    finally:
        sqs.delete_queue(QueueUrl=url)


@contextmanager
def bus(system: System, pattern: dict[str, Any]) -> Iterator[str]:
    """Provide the URL of a temporary queue that receives the events of the bus that match a pattern."""
    events = system.aws("events")
    rule = {"Name": f"e2e-{uuid.uuid4().hex[:8]}", "EventBusName": system.stack.event_bus}
    targets = {"Rule": rule["Name"], "EventBusName": rule["EventBusName"]}
    with queue(system) as (url, arn):
        events.put_rule(**rule, EventPattern=json.dumps(pattern))
        events.put_targets(**targets, Targets=[{"Id": "queue", "Arn": arn}])
        try:
            yield url
        finally:
            events.remove_targets(**targets, Ids=["queue"])
            events.delete_rule(**rule)


def received(system: System, url: str, patience_seconds: float = 90) -> str:
    """Return the body of the first message; the message stays in the queue, hidden."""
    answer = demo.poll(
        lambda: system.aws("sqs").receive_message(QueueUrl=url, WaitTimeSeconds=1),
        lambda answer: bool(answer.get("Messages")),
        "no message arrived",
        patience_seconds,
    )
    return str(answer["Messages"][0]["Body"])


def arn_of(system: System, url: str) -> str:
    """Return the ARN of a queue."""
    attributes = system.aws("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]
    return str(attributes["QueueArn"])
