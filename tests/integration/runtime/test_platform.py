"""The public routes: health, the OpenAPI document, the documentation page and the pages of problem types."""

import json
from datetime import UTC, datetime, timedelta
from html import escape
from typing import Any
from unittest import mock

import boto3
import pytest

from functions.platform_api import handler as platform_function
from infra.tools.problem_types import ProblemType, problem_types
from tests.support.system import TABLE, LambdaContext, System, authorized, gateway_event
from trimtab import __version__
from trimtab.runtime.dynamodb.client import dynamodb_client


def get(path: str, method: str = "GET") -> tuple[int, str, Any]:
    """Status, media type and text of an answer, for a caller without a token."""
    raw = platform_function.handler(gateway_event(method, path), LambdaContext())
    return raw["statusCode"], raw["multiValueHeaders"]["Content-Type"][0], raw["body"]


def test_health_names_the_parts_and_the_version(system: System) -> None:
    status, media_type, text = get("/health")
    assert (status, media_type) == (200, "application/json")
    assert json.loads(text) == {"status": "ok", "version": __version__, "table": "ok", "queue": "ok"}


@pytest.mark.parametrize("part", ["table", "queue"])
def test_a_part_that_does_not_answer_makes_it_a_503(system: System, part: str) -> None:
    if part == "table":
        boto3.client("dynamodb").delete_table(TableName=TABLE)
    else:
        boto3.client("sqs").delete_queue(QueueUrl=system.queue_url)
    status, _, text = get("/health")
    expected = {"status": "failing", "version": __version__, "table": "ok", "queue": "ok", part: "unreachable"}
    assert (status, json.loads(text)) == (503, expected)


def test_a_table_that_is_not_active_is_named_by_its_state(system: System) -> None:
    answer = {"Table": {"TableStatus": "UPDATING"}}
    with mock.patch.object(dynamodb_client(), "describe_table", return_value=answer, create=True):
        assert json.loads(get("/health")[2])["table"] == "updating"


def test_the_description_is_the_file_that_the_tests_hold_current(system: System) -> None:
    status, media_type, text = get("/openapi.json")
    assert (status, media_type) == (200, "application/json")
    assert text == platform_function.OPENAPI.read_text()


def test_the_documentation_is_one_page_that_loads_nothing_from_elsewhere(system: System) -> None:
    status, media_type, page = get("/docs")
    assert (status, media_type) == (200, "text/html; charset=utf-8")
    assert "/portfolios/{portfolio_id}/rebalances/preview" in page
    assert "SwaggerUIBundle" in page
    for tag in ('src="http', 'href="http', "src='http", "@import"):
        assert tag not in page


@pytest.mark.parametrize("each", problem_types(), ids=lambda each: each.name)
def test_every_problem_type_has_a_page_with_meaning_and_remedy(system: System, each: ProblemType) -> None:
    status, media_type, page = get(f"/problems/{each.name}")
    assert (status, media_type) == (200, "text/html; charset=utf-8")
    for text in (f"urn:trimtab:problem:{each.name}", each.meaning, each.remedy):
        assert escape(text) in page


def test_a_problem_type_that_does_not_exist_has_no_page(system: System) -> None:
    status, _, text = get("/problems/none")
    assert (status, json.loads(text)["type"]) == (404, "urn:trimtab:problem:not_found")


@pytest.mark.parametrize(("method", "path"), [("POST", "/healthy"), ("GET", "/portfolios")])
def test_other_routes_are_not_found_here(system: System, method: str, path: str) -> None:
    event = gateway_event(method, path, authorizer=authorized())
    raw = platform_function.handler(event, LambdaContext())
    assert (raw["statusCode"], get(path, method)[0]) == (404, 401)
    assert json.loads(raw["body"])["type"] == "urn:trimtab:problem:no_route"


@pytest.mark.parametrize(("path", "seconds"), [("/health", 5), ("/openapi.json", 3600), ("/docs", 3600)])
def test_open_answers_may_be_cached_for_a_while(system: System, path: str, seconds: int) -> None:
    raw = platform_function.handler(gateway_event("GET", path), LambdaContext())
    assert raw["multiValueHeaders"]["Cache-Control"] == [f"public, max-age={seconds}"]
    assert raw["multiValueHeaders"]["X-Content-Type-Options"] == ["nosniff"]


def test_health_asks_aws_once_in_five_seconds(system: System) -> None:
    client, noon = dynamodb_client(), datetime(2026, 1, 5, 12, tzinfo=UTC)
    with (
        mock.patch.object(platform_function, "utc_now", return_value=noon) as now,
        mock.patch.object(client, "describe_table", wraps=client.describe_table) as asked,
    ):
        answers = [get("/health") for _ in range(20)]
        now.return_value = noon + timedelta(seconds=5)
        get("/health")
    assert [status for status, *_ in answers] == [200] * 20
    assert asked.call_count == 2
