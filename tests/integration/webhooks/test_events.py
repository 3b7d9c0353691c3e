"""The list of events through the real functions: complete, in order, resumable, and of one tenant or user only."""

import json
from datetime import timedelta
from typing import Any
from unittest import mock

import pytest

from functions.webhooks_api import handler as webhooks_function
from functions.webhooks_on_event import handler as event_function
from tests.support.analytics import on_bus
from tests.support.faults import Call, injecting
from tests.support.moto_state import commits, table
from tests.support.system import System, authorized, sqs_record
from tests.support.webhooks import an_event, log_events, read_ids, read_pages
from trimtab.kernel.clock import utc_now
from trimtab.kernel.ids import derive_id
from trimtab.runtime.dynamodb.outbox import events_of
from trimtab.runtime.http.cursors import encode_cursor
from trimtab.webhooks.domain.event_log import RETENTION, sequence_key


def ids(*numbers: int) -> list[str]:
    """Return the ids of the events with these numbers."""
    return [derive_id("event", number) for number in numbers]


def entries_of(tenant_id: str) -> Any:
    """Return moto's items in the partition of a tenant's log, by sort key."""
    (found,) = (rows for key, rows in table("webhooks").items.items() if key.value == sequence_key(tenant_id)["pk"])
    return found


def test_the_events_of_a_request_are_listed_as_they_were_published(system: System) -> None:
    system.portfolio()
    published = [event for record in commits() for event in events_of(record)]
    log_events(system, *published)
    (page,) = read_pages(system)
    assert (page["items"], page["has_more"]) == (published, False)
    assert page["items"][0]["type"] == "portfolio.created"


def test_polling_with_the_last_cursor_returns_each_later_event_once(system: System) -> None:
    (page,) = read_pages(system)
    assert (page["items"], page["has_more"]) == ([], False)
    cursor, seen = page["after"], []
    for number in range(5):
        log_events(system, an_event(2 * number), an_event(2 * number + 1))
        *_, last = pages = list(read_pages(system, cursor, limit=1))
        seen += [event["id"] for page in pages for event in page["items"]]
        cursor = last["after"]
    assert seen == ids(*range(10))
    assert read_ids(system, cursor) == []
    assert read_ids(system) == read_ids(system, limit=3) == ids(*range(10))


def test_an_event_that_is_delivered_again_is_listed_once(system: System) -> None:
    log_events(system, an_event(1), an_event(2), an_event(1))
    log_events(system, an_event(2), an_event(3))
    assert read_ids(system) == ids(1, 2, 3)


def test_a_batch_larger_than_a_transaction_is_logged_in_order(system: System) -> None:
    records = [sqs_record(json.dumps(on_bus(an_event(number))), message_id=f"m{number}") for number in range(95)]
    assert system.invoke_worker(*records, worker=event_function) == set()
    assert read_ids(system, limit=40) == ids(*range(95))


def test_the_events_of_another_tenant_and_of_the_platform_are_never_listed(system: System) -> None:
    log_events(system, an_event(1), an_event(2, tenant_id="acme"), an_event(3, tenant_id="platform"))
    assert read_ids(system) == ids(1)
    assert read_ids(system, tenant_id="acme") == ids(2)
    assert read_ids(system, tenant_id="platform") == []
    ours = next(read_pages(system))["after"]
    theirs = system.http("GET", "/events", query={"after": ours}, authorizer=authorized("acme"))
    assert (theirs.status, theirs.json["type"]) == (400, "urn:trimtab:problem:invalid_cursor")


def test_an_end_user_gets_the_events_about_that_user_only(system: System) -> None:
    halted = {**an_event(3, type="orders.halted"), "data": {"control": "rollbacks"}}
    log_events(system, an_event(1), an_event(2, user_id="2"), halted, an_event(4))
    answer = system.http("GET", "/events", authorizer=authorized(user_id="1"))
    assert [event["id"] for event in answer.json["items"]] == ids(1, 4)


def test_a_filter_by_type_reads_past_other_events_and_resumes_behind_them(system: System) -> None:
    others = [an_event(number) for number in range(9)]
    log_events(system, *others, an_event(9, type="portfolio.closed"))
    with (
        mock.patch("trimtab.webhooks.service.event_feed.PAGE_SIZE", 2),
        mock.patch("trimtab.webhooks.service.event_feed.MAX_PAGES", 2),
    ):
        pages = list(read_pages(system, type="portfolio.closed"))
    assert [len(page["items"]) for page in pages] == [0, 0, 1]
    assert [page["has_more"] for page in pages] == [True, True, False]


@pytest.mark.parametrize(
    "query",
    [
        {"type": "portfolio.create"},
        {"type": "*"},
        {"user_id": "1"},
        {"limit": "0"},
        {"limit": "101"},
        {"after": "x"},
    ],
)
def test_bad_parameters_are_refused(system: System, query: dict[str, Any]) -> None:
    assert system.http("GET", "/events", query=query).status == 400


@pytest.mark.parametrize("position", [["1"], [-1], [10**16], [], [1, 2]])
def test_a_position_that_is_no_event_is_refused(system: System, position: list[Any]) -> None:
    assert system.http("GET", "/events", query={"after": encode_cursor(position, "demo", "events")}).status == 400


def test_a_cursor_of_another_tenant_is_refused(system: System) -> None:
    assert system.http("GET", "/events", query={"after": encode_cursor([1], "acme", "events")}).status == 400


def test_expired_events_are_left_out_and_a_cursor_before_them_still_works(system: System) -> None:
    long_ago = utc_now() - RETENTION - timedelta(hours=1)
    with mock.patch.object(event_function, "utc_now", return_value=long_ago):
        log_events(system, *map(an_event, range(4)))
    event_function.event_logger.cache_clear()
    log_events(system, an_event(4))
    cursor = encode_cursor([1], "demo", "events")
    assert read_ids(system, cursor) == ids(4)
    entries = entries_of("demo")
    for key in [key for key in entries if key.value.startswith("EVENT#") and key.value.endswith("3")]:
        del entries[key]  # DynamoDB deletes expired items in any order
    assert read_ids(system, cursor) == read_ids(system) == ids(4)


def test_a_gap_that_may_be_a_commit_in_progress_ends_the_page(system: System) -> None:
    log_events(system, *map(an_event, range(4)))
    entries = entries_of("demo")
    hidden = {key: entries.pop(key) for key in list(entries) if key.value.endswith("2")}
    answer = system.http("GET", "/events").json
    assert ([event["id"] for event in answer["items"]], answer["has_more"]) == (ids(0), True)
    entries.update(hidden)
    assert read_ids(system, answer["after"]) == ids(1, 2, 3)
    later = utc_now() + timedelta(minutes=2)
    for key in hidden:
        del entries[key]
    with mock.patch.object(webhooks_function, "utc_now", return_value=later):
        webhooks_function.event_feed.cache_clear()
        assert read_ids(system) == ids(0, 2, 3)
    webhooks_function.event_feed.cache_clear()


def test_two_workers_that_append_at_once_leave_no_gap_and_lose_nothing(system: System) -> None:
    """The second worker appends between the reads and the write of the first, again and again."""
    others = iter(range(100, 105))
    with injecting() as faults:

        def append_between(call: Call) -> None:
            if call.operation == "BatchGetItem" and (number := next(others, None)) is not None:
                with faults.paused():
                    log_events(system, an_event(number))

        faults.on_answer = append_between
        record = sqs_record(json.dumps(on_bus(an_event(1))))
        assert system.invoke_worker(record, worker=event_function) == set()
    assert read_ids(system) == ids(100, 101, 102, 103, 104, 1)
    assert {key.value for key in entries_of("demo")} == {
        *(f"EVENT#{number:016d}" for number in range(1, 7)),
        "SEQUENCE",
    }
