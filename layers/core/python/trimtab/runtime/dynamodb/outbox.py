"""The publisher of the transactional outbox: events of items go to the bus, or to a queue of undelivered events."""

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError
from msgspec import MsgspecError, Struct

from trimtab.contracts.events import SOURCE, cloud_event, event_id, unpack_events
from trimtab.kernel.clock import parse_time
from trimtab.kernel.errors import Refusal
from trimtab.kernel.retry import MAX_ATTEMPTS, sleep_before_retry
from trimtab.runtime.aws_client import aws_client
from trimtab.runtime.dynamodb.client import deserialize
from trimtab.runtime.metrics import count
from trimtab.runtime.observability import logger
from trimtab.runtime.tracing import traceparent_of_item

if TYPE_CHECKING:
    from types_boto3_events import EventBridgeClient
    from types_boto3_sqs import SQSClient

MAX_ENTRIES = 10


@lru_cache(maxsize=1)
def eventbridge_client() -> "EventBridgeClient":
    """Return the client, created on first use.

    The client tries each call once: the publisher counts the tries and must end before its own time-out.
    """
    client: EventBridgeClient = aws_client("events", connect_timeout=1, read_timeout=3, attempts=1)
    return client


class Publisher(Struct, frozen=True):
    """Puts the events of stream records on the bus; events that the bus keeps refusing go whole to a queue."""

    bus: "EventBridgeClient"
    bus_name: str
    queue: "SQSClient"
    undelivered_url: str

    def publish(self, records: Sequence[Mapping[str, Any]]) -> tuple[int, int]:
        """Return how many events of the records were put on the bus, and how many on the queue of undelivered events.

        Each event reaches one of the two at least once. Otherwise an exception lets the stream redeliver the records.
        """
        events: list[dict[str, Any]] = []
        unreadable: list[Any] = []
        for record in records:
            try:
                events += events_of(record)
            except (KeyError, ValueError, TypeError, MsgspecError, Refusal):
                logger.exception("cannot read the events of an item")
                unreadable.append(record)
        refused: list[dict[str, Any]] = []
        for start in range(0, len(events), MAX_ENTRIES):
            refused += self._put(events[start : start + MAX_ENTRIES])
        for undelivered in [*unreadable, *refused]:
            self.queue.send_message(QueueUrl=self.undelivered_url, MessageBody=json.dumps(undelivered, default=str))
        count("EventsPublished", len(events) - len(refused))
        count("EventsUndelivered", len(refused) + len(unreadable))
        return len(events) - len(refused), len(refused) + len(unreadable)

    def _put(self, events: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return the events that the bus refused three times; `PutEvents` reports refusals in a successful answer."""
        for attempt in range(MAX_ATTEMPTS):
            if attempt:
                sleep_before_retry(attempt)
            try:
                answer = self.bus.put_events(Entries=[self._entry(event) for event in events])
            except (ClientError, BotoCoreError):
                logger.exception("PutEvents failed")
                continue
            entries = zip(events, answer["Entries"], strict=True)
            events = [event for event, entry in entries if entry.get("ErrorCode") is not None]
            if not events:
                break
            logger.warning("the bus refused events", refused=len(events))
        return events

    def _entry(self, event: Mapping[str, Any]) -> Any:
        return {
            "EventBusName": self.bus_name,
            "Source": SOURCE,
            "DetailType": event["type"],
            "Detail": json.dumps(event, separators=(",", ":")),
        }


def events_of(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the CloudEvents in the new image of a stream record; ids are derived from the item and its version."""
    image = record["dynamodb"].get("NewImage", {})
    if "events" not in image:
        return []
    item = deserialize(image)
    key = f"{item['pk']}|{item['sk']}"
    return [
        cloud_event(
            event,
            id=event_id(key, item["version"], position),
            tenant_id=item["tenant_id"],
            time=parse_time(item["updated_at"]),
            traceparent=traceparent_of_item(item),
        )
        for position, event in enumerate(unpack_events(item["events"]))
    ]
