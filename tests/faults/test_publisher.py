"""The publisher against items that nobody should have written, and a bus that does not answer."""

from typing import Any

import pytest

from functions.events_on_commit import handler as publisher_function
from tests.faults.harness import FaultTestBench
from tests.support.system import payload
from trimtab.kernel.retry import MAX_ATTEMPTS

FUNCTION_TIMEOUT_SECONDS = 30


@pytest.mark.parametrize(
    "break_image",
    [
        lambda image: image.update(events={"S": "not JSON"}),
        lambda image: image.update(events={"S": '{"v":1,"events":[{"type":"a.b"}]}'}),
        lambda image: image.update(events={"S": '{"v":2,"events":[]}'}),
        lambda image: image.update(events={"S": "5"}),
        lambda image: image.pop("version"),
        lambda image: image.pop("tenant_id"),
        lambda image: image.update(updated_at={"S": "yesterday"}),
        lambda image: image.update(updated_at={"N": "5"}),
    ],
    ids=["text", "no data", "unknown form version", "number", "no version", "no tenant", "bad time", "numeric time"],
)
def test_an_unreadable_item_goes_whole_to_the_undelivered_and_holds_up_no_other(
    bench: FaultTestBench, break_image: Any
) -> None:
    records = payload("events_on_commit/stream.json")["Records"]
    break_image(records[0]["dynamodb"]["NewImage"])
    assert bench.system.publish_events(records) == {"batchItemFailures": []}
    assert [event["type"] for event in bench.faults.reached_the_bus] == ["rebalance.completed"]


def test_a_bus_that_never_answers_leaves_the_publisher_time_to_save_the_events(bench: FaultTestBench) -> None:
    """A function that runs out of time is delivered the same records until the stream gives them up as metadata."""
    config: Any = publisher_function.publisher().bus.meta.config
    attempts = int((config.retries or {}).get("total_max_attempts", 5))
    slowest = MAX_ATTEMPTS * attempts * max(config.connect_timeout, config.read_timeout)
    assert slowest < FUNCTION_TIMEOUT_SECONDS
