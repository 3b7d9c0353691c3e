"""Commands that show pending jobs, circuits and feeds."""

import json
from datetime import timedelta
from unittest import mock

import boto3
import pytest
from aws_lambda_powertools.utilities.circuit_breaker import CircuitState
from aws_lambda_powertools.utilities.circuit_breaker.persistence.record import CircuitStateRecord

from infra.operator import state_commands
from tests.support.assets import accept_every_price
from tests.support.operator import Operator
from tests.support.system import MARKET_TABLE, System
from tests.support.trading import FEED
from trimtab.kernel.clock import format_time, utc_now
from trimtab.market.adapters.bars import BarStore
from trimtab.market.domain.ingested_days import IngestedDay, sessions_up_to
from trimtab.runtime.http_client import circuit_store


def report(system: System) -> str:
    """Report drift over HTTP, without a worker that decides the report; return the id of the rebalance."""
    system.portfolio()
    body = {"user_id": "1", "request_id": "r", "new_allocation": {"stocks": 70, "bonds": 20, "gold": 10}}
    accepted = system.http("POST", "/rebalance", body)
    assert accepted.status == 202, accepted.text
    return str(accepted.json["rebalance_id"])


def test_a_waiting_rebalance_is_listed_and_an_overdue_one_is_found_wrong(system: System, operator: Operator) -> None:
    rebalance_id = report(system)
    result = operator.run("pending", "jobs", "--json")
    (row,) = json.loads(result.stdout)
    assert (result.exit_code, row["kind"], row["tenant"], row["overdue"]) == (0, "rebalance", "demo", "no")
    assert row["job_id"] == rebalance_id

    later = utc_now() + timedelta(minutes=6)
    with mock.patch.object(state_commands, "utc_now", return_value=later):
        result = operator.run("pending", "jobs")
    assert result.exit_code == 1
    assert result.stdout.split()[-1] == "yes"


def test_jobs_of_another_tenant_and_decided_jobs_are_not_listed(system: System, operator: Operator) -> None:
    report(system)
    assert operator.rows("pending", "jobs", "--tenant", "acme") == []
    system.drain_queue()
    assert operator.rows("pending", "jobs") == []


def test_webhooks_are_listed_with_the_deliveries_that_wait_or_failed(system: System, operator: Operator) -> None:
    assert operator.run("pending", "deliveries").stdout == "no webhooks\n"
    created = system.http(
        "POST", "/webhooks", {"url": "http://127.0.0.1:9/", "types": ["*"]}, headers={"Idempotency-Key": "k"}
    )
    assert created.status == 201, created.text
    (row,) = operator.rows("pending", "deliveries")
    assert (row["status"], row["pending"], row["failed"]) == ("ENABLED", 0, 0)


def test_an_open_circuit_is_found_wrong(system: System, operator: Operator) -> None:
    assert operator.run("circuits").exit_code == 0
    store = circuit_store(boto3.client("dynamodb"), "paper")
    opened = utc_now()
    store._put_record(
        CircuitStateRecord("alpaca x", CircuitState.OPEN, failure_count=5, opened_at=int(opened.timestamp()))
    )

    result = operator.run("circuits", "--json")

    (row,) = json.loads(result.stdout)
    assert (result.exit_code, row["circuit"], row["failures"]) == (1, "alpaca x", 5)
    assert row["opened_at"] == format_time(opened.replace(microsecond=0))
    store._put_record(CircuitStateRecord("alpaca x", CircuitState.CLOSED))
    assert operator.run("circuits").exit_code == 0


def ingest(rejected: int = 0) -> None:
    """Store the records of all sessions whose bars are due."""
    store, now = BarStore(boto3.client("dynamodb"), MARKET_TABLE), utc_now()
    for day in sessions_up_to(now.date()):
        store.put(
            IngestedDay(
                day=day, assets="a", bars="b", faults="f", stored=1, changed=0, rejected=rejected, updated_at=now
            )
        )


@pytest.fixture
def asset(system: System) -> None:
    """An active asset."""
    accept_every_price("AAPL")


def test_feeds_are_late_without_quotes_and_bars_and_in_time_with_them(
    system: System, operator: Operator, asset: None
) -> None:
    result = operator.run("feeds", "--json")
    quotes, bars = json.loads(result.stdout)
    assert result.exit_code == 1
    assert (quotes["last_success"], quotes["first_missing"]) == (None, "AAPL")
    assert bars["last_success"] is None
    assert bars["missing"] >= 8

    at = format_time(utc_now())
    system.http("POST", "/quotes", {"quotes": [{"symbol": "AAPL", "price": "10", "as_of": at}]}, authorizer=FEED)
    system.process_quotes()
    ingest()
    result = operator.run("feeds", "--json")
    quotes, bars = json.loads(result.stdout)
    assert (result.exit_code, quotes["missing"], bars["missing"]) == (0, 0, 0)
    assert quotes["last_success"] == at


def test_a_session_with_rejected_bars_is_missing(system: System, operator: Operator, asset: None) -> None:
    ingest(rejected=1)
    assert operator.rows("feeds")[1]["missing"] >= 8
