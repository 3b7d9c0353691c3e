"""Drift reports over HTTP: accepted once, decided by the worker, read back with their reason."""

from datetime import UTC, datetime, timedelta
from typing import Any
from unittest import mock

import boto3
import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError

from functions.balancing_on_sweep import handler as sweep_function
from tests.support.system import System, sqs_record
from trimtab.kernel.clock import format_time

WEIGHTS = {"stocks": 70, "bonds": 20, "gold": 10}
REPORT: dict[str, Any] = {"user_id": "1", "new_allocation": WEIGHTS}
PROBLEM = "urn:trimtab:problem:"


def ago(**span: float) -> str:
    """Return a time in the past."""
    return format_time(datetime.now(UTC) - timedelta(**span))


def accept(system: System, request_id: str, **changes: Any) -> Any:
    """Send a report and return the answer that accepts the report."""
    answer = system.http("POST", "/rebalance", {**REPORT, "request_id": request_id, **changes})
    assert answer.status == 202, answer.text
    return answer.json


def read(system: System, accepted: Any) -> Any:
    """Read the rebalance of an accepted report."""
    return system.http("GET", accepted["links"]["self"]).json


def lose_messages(system: System) -> list[str]:
    """Remove the messages on the queue, as if they were lost, and return their bodies."""
    sqs, lost = boto3.client("sqs"), []
    while messages := sqs.receive_message(QueueUrl=system.queue_url, MaxNumberOfMessages=10).get("Messages"):
        for message in messages:
            lost.append(message["Body"])
            sqs.delete_message(QueueUrl=system.queue_url, ReceiptHandle=message["ReceiptHandle"])
    return lost


def rebalances(system: System) -> list[dict[str, Any]]:
    """Return the stored items of rebalances."""
    return [item for item in system.items() if item["sk"]["S"].startswith("REBALANCE#")]


def test_an_accepted_report_names_the_rebalance_to_poll_and_the_delay(system: System) -> None:
    portfolio = system.portfolio()
    answer = system.http("POST", "/rebalance", {"UserID": "1", "NewAllocation": WEIGHTS})
    assert (answer.status, answer.headers["Retry-After"]) == (202, "1")
    body = answer.json
    assert (body["status"], body["portfolio_id"], body["retry_safe"]) == ("REQUESTED", portfolio["portfolio_id"], False)
    assert answer.headers["Location"] == body["links"]["self"]
    pending = read(system, body)
    assert (pending["status"], pending["transactions"], pending["reason"]) == ("REQUESTED", [], None)
    assert pending["new_allocation"] == {"stocks": "70.0000", "bonds": "20.0000", "gold": "10.0000"}
    system.drain_queue()
    done = read(system, body)
    assert done["status"] == "COMPLETED"
    assert done["reason"]["weights"]["stocks"] == {"reported": "70.0000", "target": "60.0000"}
    assert {name: done[name] for name in ("new_allocation", "as_of", "created_at")} == {
        name: pending[name] for name in ("new_allocation", "as_of", "created_at")
    }


@pytest.mark.parametrize(
    ("header", "member", "request_id"),
    [({"Idempotency-Key": "k"}, None, "k"), ({}, "k", "k"), ({"idempotency-key": "k"}, "k", "k")],
)
def test_the_request_id_is_the_header_or_the_member(
    system: System, header: dict[str, str], member: str | None, request_id: str
) -> None:
    system.portfolio()
    answer = system.http("POST", "/rebalance", {**REPORT, **({"request_id": member} if member else {})}, headers=header)
    assert (answer.status, answer.json["request_id"], answer.json["retry_safe"]) == (202, request_id, True)


def test_two_request_ids_are_refused(system: System) -> None:
    system.portfolio()
    answer = system.http("POST", "/rebalance", {**REPORT, "request_id": "a"}, headers={"Idempotency-Key": "b"})
    assert (answer.status, answer.json["type"]) == (400, f"{PROBLEM}two_request_ids")
    assert rebalances(system) == []


def test_without_a_request_id_each_report_is_another_request(system: System) -> None:
    system.portfolio()
    for number in range(2):
        assert system.http("POST", "/rebalance", REPORT, request_id=f"gateway-{number}").status == 202
    assert len(rebalances(system)) == 2


def test_a_repeat_gets_the_same_answer_at_any_time_and_has_no_second_effect(system: System) -> None:
    portfolio = system.portfolio()
    first = accept(system, "k1")
    assert accept(system, "k1", new_allocation={"gold": "10.0", "bonds": "20", "stocks": 70}) == first
    assert system.drain_queue() == 2
    assert accept(system, "k1") == first
    newer = accept(system, "k2")
    system.drain_queue()
    assert accept(system, "k1") == first
    system.http("DELETE", f"/portfolios/{portfolio['portfolio_id']}")
    assert accept(system, "k1") == first
    assert accept(system, "k2") == newer
    assert system.drain_queue() == 0
    assert len(rebalances(system)) == 2
    assert system.http("GET", first["links"]["portfolio"]).json["version"] == 4


@pytest.mark.parametrize("decided", [False, True])
@pytest.mark.parametrize("change", [{"new_allocation": {"stocks": 100}}, {"as_of": "2026-01-01T00:00:00Z"}])
def test_the_same_request_id_with_another_body_is_refused(system: System, decided: bool, change: Any) -> None:
    system.portfolio()
    first = accept(system, "k1")
    if decided:
        system.drain_queue()
    answer = system.http("POST", "/rebalance", {**REPORT, "request_id": "k1", **change})
    assert (answer.status, answer.json["type"]) == (409, f"{PROBLEM}request_id_reused")
    system.drain_queue()
    assert read(system, first)["new_allocation"]["stocks"] == "70.0000"
    assert len(rebalances(system)) == 1


def test_a_request_id_counts_within_its_portfolio(system: System) -> None:
    system.portfolio("1")
    system.portfolio("2")
    ids = {accept(system, "k", user_id=user)["rebalance_id"] for user in ("1", "2")}
    assert len(ids) == 2


REFUSED: list[tuple[str, dict[str, Any], int, str]] = [
    ("unknown user", {"user_id": "9"}, 404, "unknown_portfolio"),
    ("unknown name", {"name": "other"}, 404, "unknown_portfolio"),
    ("below 100", {"new_allocation": {"stocks": "99.9999"}}, 400, "invalid_request"),
    ("future", {"as_of": "2999-01-01T00:00:00Z"}, 422, "as_of_in_future"),
    ("stale", {"as_of": "2001-01-01T00:00:00Z"}, 422, "stale_as_of"),
    ("no target", {"user_id": "untargeted"}, 422, "no_target"),
    ("closed", {"user_id": "closed"}, 409, "closed"),
]


@pytest.mark.parametrize(
    ("change", "status", "type"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED]
)
def test_a_report_that_a_rule_refuses_is_answered_at_once_and_stores_nothing(
    system: System, change: dict[str, Any], status: int, type: str
) -> None:
    system.portfolio()
    accept(system, "first")
    system.drain_queue()
    system.http("POST", "/portfolio", {"user_id": "untargeted"})
    system.http("DELETE", f"/portfolios/{system.portfolio('closed')['portfolio_id']}")
    before = system.items()
    answer = system.http("POST", "/rebalance", {**REPORT, "request_id": "k", **change})
    assert (answer.status, answer.json["type"]) == (status, PROBLEM + type)
    assert (system.items(), system.drain_queue()) == (before, 0)


def test_newest_reports_win_in_whatever_order_they_are_decided(system: System) -> None:
    system.portfolio()
    old = accept(system, "old", as_of=ago(hours=2), new_allocation={"stocks": 100})
    new = accept(system, "new", as_of=ago(hours=1))
    bodies = lose_messages(system)
    assert len(bodies) == 2
    for body in sorted(bodies, key=lambda each: '"old"' in each):
        system.invoke_worker(sqs_record(body))
    assert [read(system, each)["status"] for each in (new, old)] == ["COMPLETED", "SUPERSEDED"]
    assert read(system, old)["reason"]["code"] == "stale_as_of"


def test_a_preview_equals_the_decision_of_the_worker_and_stores_nothing(system: System) -> None:
    portfolio = system.portfolio(policy={"band": {"type": "absolute", "value": 5}, "destination": "band_edge"})
    before = system.items()
    path = f"/portfolios/{portfolio['portfolio_id']}/rebalances/preview"
    preview = system.http("POST", path, {"new_allocation": WEIGHTS})
    assert (preview.status, system.items(), system.drain_queue()) == (200, before, 0)
    accepted = accept(system, "k")
    system.drain_queue()
    decided = read(system, accepted)
    assert preview.json["reason"] == decided["reason"]
    moves = [
        {name: move[name] for name in ("action", "asset", "rebalance_percent")} for move in decided["transactions"]
    ]
    assert (
        preview.json["transactions"]
        == moves
        == [
            {"action": "SELL", "asset": "stocks", "rebalance_percent": "5.0000"},
            {"action": "BUY", "asset": "bonds", "rebalance_percent": "5.0000"},
        ]
    )


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"new_allocation": WEIGHTS, "as_of": "2999-01-01T00:00:00Z"}, 422),
        ({"new_allocation": {"stocks": "99.9999"}}, 400),
        ({"new_allocation": WEIGHTS, "user_id": "1"}, 400),
    ],
)
def test_a_preview_is_refused_like_a_report(system: System, body: dict[str, Any], status: int) -> None:
    portfolio = system.portfolio()
    assert system.http("POST", f"/portfolios/{portfolio['portfolio_id']}/rebalances/preview", body).status == status


def test_a_weight_of_minus_zero_is_shown_as_zero(system: System) -> None:
    path = f"/portfolios/{system.portfolio()['portfolio_id']}/rebalances/preview"
    answer = system.http("POST", path, {"new_allocation": {"stocks": 60, "bonds": 40, "gold": "-0"}})
    assert answer.json["reason"]["weights"]["gold"]["reported"] == "0.0000"


def test_a_report_inside_the_band_ends_with_no_action_and_the_reason(system: System) -> None:
    system.portfolio(policy={"band": {"type": "hybrid"}})
    accepted = accept(system, "k", new_allocation={"stocks": 70, "bonds": 24, "gold": 6})
    inside = accept(system, "k2", new_allocation={"stocks": 64, "bonds": 24, "gold": 12})
    system.drain_queue()
    assert read(system, accepted)["status"] == "COMPLETED"
    done = read(system, inside)
    assert (done["status"], done["transactions"], done["reason"]["code"]) == ("NO_ACTION", [], "within_band")
    assert done["reason"]["details"] == {
        "revision": 1,
        "drift": "6",
        "band": {"type": "hybrid", "value": "20", "points": "1"},
        "destination": "target",
        "outside": 0,
    }
    assert done["reason"]["weights"]["gold"] == {"reported": "12.0000", "target": "10.0000"}


def test_a_cooldown_holds_back_the_next_rebalance_until_a_new_target_comes(system: System) -> None:
    portfolio = system.portfolio(policy={"cooldown_seconds": 3600})
    reports = [accept(system, str(n), as_of=ago(minutes=30 - n)) for n in range(2)]
    system.drain_queue()
    system.http(
        "PUT", f"/portfolios/{portfolio['portfolio_id']}/allocation", {"allocation": {"stocks": 50, "bonds": 50}}
    )
    reports.append(accept(system, "2"))
    system.drain_queue()
    done = [read(system, accepted) for accepted in reports]
    assert [each["status"] for each in done] == ["COMPLETED", "NO_ACTION", "COMPLETED"]
    assert "cooldown_until" in done[1]["reason"]["details"]


def test_rebalances_are_listed_newest_first_over_pages(system: System) -> None:
    portfolio = system.portfolio()
    names = [f"k{number}" for number in range(5)]
    for name in names:
        accept(system, name)
    system.drain_queue()
    path, cursor, found = f"/portfolios/{portfolio['portfolio_id']}/rebalances", None, []
    while True:
        page = system.http("GET", path, query={"limit": "2", **({"cursor": cursor} if cursor else {})}).json
        found += [each["request_id"] for each in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert found == names[::-1]
    one = system.http("GET", path, query={"limit": "1"}).json["items"][0]
    assert one == system.http("GET", f"{path}/{one['rebalance_id']}").json


def test_a_rebalance_of_another_portfolio_is_not_found(system: System) -> None:
    system.portfolio("1")
    other = system.portfolio("2")["portfolio_id"]
    accepted = accept(system, "k")
    assert system.http("GET", f"/portfolios/{other}/rebalances/{accepted['rebalance_id']}").status == 404


def transactions(system: System, path: str, limit: int) -> list[list[str]]:
    """Return all pages of a list of transactions, each transaction as `request:ACTION:asset`."""
    names = {each["sk"]["S"].removeprefix("REBALANCE#"): each["request_id"]["S"] for each in rebalances(system)}
    pages: list[list[str]] = []
    cursor = None
    while cursor is not None or not pages:
        page = system.http("GET", path, query={"limit": str(limit), **({"cursor": cursor} if cursor else {})}).json
        pages.append([f"{names[each['rebalance_id']]}:{each['action']}:{each['asset']}" for each in page["items"]])
        cursor = page["next_cursor"]
        assert len(pages) < 100
    return pages


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 100])
def test_transactions_are_split_over_pages_and_none_is_lost(system: System, limit: int) -> None:
    path = f"/portfolios/{system.portfolio()['portfolio_id']}/transactions"
    expected = []
    for name, weights in (("a", WEIGHTS), ("b", {"stocks": 60, "bonds": 30, "gold": 10}), ("c", {"coins": 100})):
        accept(system, name, new_allocation=weights)
        system.drain_queue()
    expected = ["c:SELL:coins", "c:BUY:stocks", "c:BUY:bonds", "c:BUY:gold", "a:SELL:stocks", "a:BUY:bonds"]
    pages = transactions(system, path, limit)
    assert [each for page in pages for each in page] == expected
    assert all(len(page) <= limit for page in pages)


@pytest.mark.volume
@pytest.mark.usefixtures("fast_moto")
def test_transactions_are_found_behind_many_rebalances_without_transactions(system: System) -> None:
    path = f"/portfolios/{system.portfolio()['portfolio_id']}/transactions"
    accept(system, "first")
    for number in range(110):
        accept(system, str(number), new_allocation={"stocks": 60, "bonds": 30, "gold": 10})
    system.drain_queue()
    assert [each for page in transactions(system, path, 10) for each in page] == [
        "first:SELL:stocks",
        "first:BUY:bonds",
    ]


def test_the_next_page_of_transactions_continues_after_the_last_one_although_newer_ones_exist(system: System) -> None:
    path = f"/portfolios/{system.portfolio()['portfolio_id']}/transactions"
    old = accept(system, "old")
    system.drain_queue()
    first = system.http("GET", path, query={"limit": "1"}).json
    accept(system, "new", new_allocation={"coins": 100})
    system.drain_queue()
    second = system.http("GET", path, query={"limit": "1", "cursor": first["next_cursor"]}).json
    found = [(each["rebalance_id"], each["action"]) for each in first["items"] + second["items"]]
    assert found == [(old["rebalance_id"], "SELL"), (old["rebalance_id"], "BUY")]


def test_a_lost_message_is_resent_three_times_and_then_an_event_alerts(system: System) -> None:
    system.portfolio()
    accepted, now = accept(system, "k"), datetime.now(UTC)
    lose_messages(system)
    clock = {"now": now}
    with mock.patch.object(sweep_function, "utc_now", side_effect=lambda: clock["now"]):
        for minutes, expected in ((4, (0, 0)), (6, (1, 0)), (6, (0, 0)), (17, (1, 0)), (38, (1, 0)), (77, (0, 0))):
            clock["now"] = now + timedelta(minutes=minutes)
            swept = system.run_sweeper()
            assert (swept["resent"], swept["stuck"]) == expected, minutes
            lose_messages(system)
        clock["now"] = now + timedelta(minutes=79)
        assert system.run_sweeper() == {"resent": 0, "stuck": 1, "cancelled": 0, "due": 0}
        (item,) = rebalances(system)
        assert "rebalance.stuck" in item["events"]["S"]
        clock["now"] = now + timedelta(days=30)
        assert system.run_sweeper() == {"resent": 0, "stuck": 0, "cancelled": 0, "due": 0}
    assert accept(system, "k") == accepted
    assert system.drain_queue() == 1
    assert read(system, accepted)["status"] == "COMPLETED"


def test_a_decided_rebalance_is_not_swept(system: System) -> None:
    system.portfolio()
    accept(system, "k")
    system.drain_queue()
    later = datetime.now(UTC) + timedelta(days=1)
    with mock.patch.object(sweep_function, "utc_now", return_value=later):
        assert system.run_sweeper() == {"resent": 0, "stuck": 0, "cancelled": 0, "due": 0}


@pytest.mark.parametrize("body", [{"user_id": "1", "allocation": {"cash": 100}}, {**REPORT, "request_id": "k"}])
def test_a_write_that_conflicts_with_a_transaction_is_no_internal_error(system: System, body: dict[str, Any]) -> None:
    """DynamoDB refuses a put with TransactionConflictException while the worker's transaction holds the item."""
    if "new_allocation" in body:
        system.portfolio()
        accept(system, "k")
    call, conflicts = BaseClient._make_api_call, iter([True])  # type: ignore[attr-defined]

    def conflicted(client: Any, operation: str, arguments: Any) -> Any:
        if operation == "PutItem" and next(conflicts, False):
            raise ClientError({"Error": {"Code": "TransactionConflictException", "Message": "busy"}}, operation)
        return call(client, operation, arguments)

    path = "/rebalance" if "new_allocation" in body else "/portfolio"
    with mock.patch.object(BaseClient, "_make_api_call", conflicted):
        answer = system.http("POST", path, body)
    assert answer.status in {201, 202, 409, 503}, answer.text
