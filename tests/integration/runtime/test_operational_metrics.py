"""Operational metrics as OpenMetrics text, read by the parser of Prometheus's own client."""

from datetime import UTC, datetime, timedelta
from typing import Any
from unittest import mock

import boto3
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from functions.platform_api import operations
from tests.support import aws_setup
from tests.support.system import System, authorized
from trimtab.portfolios.portfolio.model import Portfolio
from trimtab.portfolios.portfolio.store import PortfolioStore

OPERATOR = authorized(scope="operator")


@pytest.fixture
def queues(system: System) -> System:
    """A system with the dead-letter queues of its two work queues."""
    for name in ("rebalance-requests-dead", "quotes-dead"):
        aws_setup.add_queue(name)
    return system


def scrape(system: System, caller: Any = OPERATOR) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Return the samples of a scrape by name and labels."""
    answer = system.http("GET", "/metrics", authorizer=caller)
    assert answer.status == 200, answer.text
    assert answer.headers["Content-Type"] == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    families = list(text_string_to_metric_families(answer.text))  # type: ignore[no-untyped-call]
    assert {family.type for family in families} == {"gauge"}
    assert all(family.documentation for family in families)
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def send(system: System, name: str, number: int = 1) -> None:
    """Put messages on a queue."""
    url = system.queue_url.replace("rebalance-requests", name)
    for _ in range(number):
        boto3.client("sqs").send_message(QueueUrl=url, MessageBody="x")


def make_stale(portfolio: dict[str, Any]) -> None:
    """Mark a portfolio as stale."""
    store = PortfolioStore(boto3.client("dynamodb"), "portfolios")
    stored = store.portfolio("demo", portfolio["portfolio_id"])
    assert isinstance(stored, Portfolio)
    store.put(stored.mark_stale("the outcome of an order is unknown", datetime.now(UTC)))


def test_a_scrape_has_queues_dead_letters_pending_jobs_and_portfolios_in_need(queues: System) -> None:
    send(queues, "quotes", 3)
    send(queues, "quotes-dead", 2)
    send(queues, "events-undelivered")
    make_stale(queues.portfolio("1"))
    queues.portfolio("2")
    report = {"user_id": "2", "new_allocation": {"stocks": 70, "bonds": 20, "gold": 10}, "request_id": "k"}
    assert queues.http("POST", "/rebalance", report).status == 202
    found = scrape(queues)
    assert found["trimtab_queue_messages", (("queue", "quotes"), ("state", "visible"))] == 3
    assert found["trimtab_queue_messages", (("queue", "rebalance-requests"), ("state", "visible"))] == 1
    assert found["trimtab_dead_letters", (("queue", "quotes"),)] == 2
    assert found["trimtab_dead_letters", (("queue", "events-undelivered"),)] == 1
    assert found["trimtab_pending_jobs", ()] == 1
    assert found["trimtab_portfolios_needing_attention", ()] == 1
    assert found["trimtab_attention_reasons", (("reason", "stale"),)] == 1
    other = scrape(queues, authorized("acme", scope="operator"))
    assert other["trimtab_attention_reasons", (("reason", "stale"),)] == 0


def test_the_age_of_the_oldest_message_is_that_of_cloudwatch(queues: System) -> None:
    at = datetime.now(UTC) - timedelta(minutes=3)
    data = {"MetricName": "ApproximateAgeOfOldestMessage", "Value": 42, "Unit": "Seconds", "Timestamp": at}
    dimensions = [{"Name": "QueueName", "Value": "quotes"}]
    boto3.client("cloudwatch").put_metric_data(Namespace="AWS/SQS", MetricData=[{**data, "Dimensions": dimensions}])
    found = scrape(queues)
    assert found["trimtab_queue_oldest_message_age_seconds", (("queue", "quotes"),)] == 42
    assert {value for (name, _), value in found.items() if name == "trimtab_scrape_incomplete"} == {0}


def test_what_a_bound_cuts_or_cannot_be_read_is_named(queues: System) -> None:
    for user in ("1", "2"):
        make_stale(queues.portfolio(user))
    boto3.client("sqs").delete_queue(QueueUrl=queues.queue_url.replace("rebalance-requests", "quotes-dead"))
    with mock.patch.multiple(operations, ATTENTION_PAGE=1, ATTENTION_PAGES=1):
        found = scrape(queues)
    parts = {dict(labels)["part"]: value for (name, labels), value in found.items() if "incomplete" in name}
    assert parts == {"queues": 1, "ages": 0, "pending_jobs": 0, "attention": 1}
    assert found["trimtab_portfolios_needing_attention", ()] == 1
    assert not [name for name, _ in found if name == "trimtab_dead_letters"]


def test_metrics_need_the_scope_of_operators(system: System) -> None:
    assert system.http("GET", "/metrics", authorizer=authorized()).status == 403
    assert system.http("GET", "/metrics", authorizer=authorized(user_id="1", scope="operator")).status == 403
    assert system.http("GET", "/metrics", authorizer=None).status == 401
