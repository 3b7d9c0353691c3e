"""Weights whose sum is almost 100: corrected on request, by largest remainder, and told; otherwise refused by name."""

import json
from typing import Any

import pytest

from tests.support.system import System, authorized, sqs_record

THIRDS = {"a": 33.333333333333336, "b": 33.333333333333336, "c": "33.33"}
CORRECTED = {"a": "33.3345", "b": "33.3344", "c": "33.3311"}
SUM = "99.996666666666672"


def test_a_target_is_corrected_on_request_and_told(system: System) -> None:
    body = {"user_id": "1", "allocation": THIRDS, "normalise": True}
    created = system.http("POST", "/portfolio", body)
    assert (created.status, created.json["normalised_sum"], created.json["allocation"]) == (201, SUM, CORRECTED)
    again = system.http("POST", "/portfolio", {**body, "allocation": CORRECTED})
    assert (again.status, "normalised_sum" in again.json) == (201, False)
    path = f"/portfolios/{created.json['portfolio_id']}/allocation"
    changed = system.http("PUT", path, {"allocation": {"a": "50.003", "b": 50}, "normalise": True}).json
    assert (changed["normalised_sum"], changed["allocation"]) == ("100.003", {"a": "50.0015", "b": "49.9985"})


def test_a_report_is_corrected_on_request_and_the_rebalance_tells(system: System) -> None:
    system.portfolio(allocation={"a": 50, "b": 25, "c": 25})
    body = {"user_id": "1", "new_allocation": THIRDS, "normalise": True, "request_id": "k"}
    accepted = system.http("POST", "/rebalance", body)
    assert (accepted.status, accepted.json["normalised_sum"]) == (202, SUM)
    system.drain_queue()
    done = system.http("GET", accepted.json["links"]["self"]).json
    assert (done["status"], done["normalised_sum"], done["new_allocation"]) == ("COMPLETED", SUM, CORRECTED)
    preview = {"new_allocation": THIRDS, "normalise": True}
    shown = system.http("POST", f"/portfolios/{done['portfolio_id']}/rebalances/preview", preview)
    assert (shown.status, shown.json["normalised_sum"]) == (200, SUM)


@pytest.mark.parametrize(
    ("weights", "field", "words"),
    [
        ({"a": "99.98"}, "new_allocation", "sum to 99.98"),
        ({"a": "100.02"}, "new_allocation.a", "less than or equal to 100"),
        ({"a": "-0.001", "b": "100.001"}, "new_allocation.a", "greater than or equal to 0"),
        ({"a": "x", "b": 100}, "new_allocation.a", "plain digits"),
    ],
)
def test_weights_that_are_too_far_off_are_refused_by_name(
    system: System, weights: dict[str, Any], field: str, words: str
) -> None:
    system.portfolio()
    refused = system.http("POST", "/rebalance", {"user_id": "1", "new_allocation": weights, "normalise": True})
    (error, *_) = refused.json["errors"]
    assert (refused.status, error["field"], words in error["detail"]) == (400, field, True), error


def test_without_the_request_fine_weights_are_refused_by_name(system: System) -> None:
    refused = system.http("POST", "/portfolio", {"user_id": "1", "allocation": THIRDS})
    assert refused.status == 400
    assert [error["field"] for error in refused.json["errors"]] == ["allocation.a", "allocation.b"]


@pytest.mark.parametrize(
    ("change", "status", "code", "sent"),
    [
        ({"new_allocation": THIRDS, "normalise": True}, "COMPLETED", "outside_band", SUM),
        ({"new_allocation": {"a": 50, "b": 25, "c": 25}, "normalise": True}, "NO_ACTION", "within_band", None),
        ({"new_allocation": {"a": "99.98"}, "normalise": True}, "REJECTED", "not_100", None),
        ({"new_allocation": THIRDS, "normalise": False}, "REJECTED", "too_many_decimals", None),
        ({"new_allocation": {"a": -1e-17, "b": 100}, "normalise": True}, "REJECTED", "weight_out_of_range", None),
        ({"new_allocation": {"a": 100.00000000000001}}, "REJECTED", "weight_out_of_range", None),
    ],
)
def test_a_message_with_any_decimals_has_a_recorded_outcome(
    system: System, change: dict[str, Any], status: str, code: str, sent: str | None
) -> None:
    portfolio_id = system.portfolio(allocation={"a": 50, "b": 25, "c": 25})["portfolio_id"]
    message = {"schema_version": 1, "type": "rebalance.requested", "tenant_id": "demo", "request_id": "k"}
    record = sqs_record(json.dumps({**message, "user_id": "1", **change}))
    for _ in range(2):
        assert system.invoke_worker(record) == set()
    (done,) = system.http("GET", f"/portfolios/{portfolio_id}/rebalances").json["items"]
    assert (done["status"], done["reason"]["code"], done["normalised_sum"]) == (status, code, sent)


@pytest.mark.parametrize(
    ("price", "stored"),
    [(151.40000000000001, "151.4"), ("0.0000123456785", "0.000012346"), ("0.0000000000000001", "0.000000001")],
)
def test_a_quote_finer_than_the_stored_places_is_stored_rounded(system: System, price: Any, stored: str) -> None:
    feed = authorized(tenant_id="platform", scope="market:read market:write")
    body = {"quotes": [{"symbol": "AAPL", "price": price, "as_of": "2026-01-05T15:30:00Z"}]}
    assert system.http("POST", "/quotes", body, authorizer=feed).status == 202
    assert system.process_quotes() == 1
    quote = system.http("GET", "/quotes/AAPL", authorizer=feed).json
    assert float(quote["price"]) == float(stored)
