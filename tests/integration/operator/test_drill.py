"""A drill in-process: each failure shows itself, the runbook's remedy is taken, and all is well again."""

import json
import time
from datetime import UTC, datetime
from unittest import mock

import boto3
import pytest
from aws_lambda_powertools.utilities.circuit_breaker.base import CircuitBreakerHandler

from functions.market_on_night import handler as night_function
from functions.market_on_night.handler import NightlyIngestionFailed
from tests.support.alpaca import Fault, fake_alpaca
from tests.support.aws_setup import add_secret
from tests.support.logged_metrics import logged_metrics
from tests.support.operator import Operator
from tests.support.system import BARS_BUCKET, System, authorized, forget_cached, sqs_record
from tests.support.trading import FEED, account, quote
from trimtab.market.domain.ingested_days import sessions_up_to
from trimtab.runtime.metrics import metrics

Output = pytest.CaptureFixture[str]
PATCH = pytest.MonkeyPatch
READER = authorized(scope="market:read")
OPERATOR = authorized(scope="operator")


def test_broker_down(system: System, operator: Operator, monkeypatch: PATCH, capsys: Output) -> None:
    path = f"{account(system).home}/broker"
    add_secret("alpaca", '{"key_id": "key-1", "secret_key": "secret-1"}')
    metrics.clear_metrics()
    with fake_alpaca() as alpaca:
        settings = {"BROKER": "alpaca", "ALPACA_BASE_URL": alpaca.url, "ALPACA_SECRET_ID": "alpaca"}
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        forget_cached()
        alpaca.faults.append(Fault("GET", 500, times=15))  # each call tries three times
        answers = [system.http("GET", path, authorizer=OPERATOR).status for _ in range(5)]
        metrics.flush_metrics()
        assert answers == [503] * 5
        assert logged_metrics(capsys.readouterr().out)["CircuitsOpened"] == [1]
        assert "OPEN" in operator.run("circuits").stdout
        assert operator.run("circuits").exit_code == 1

        assert operator.run("halt", "--reason", "The broker is down.").exit_code == 0
        later = int(time.time()) + 31
        monkeypatch.setattr(CircuitBreakerHandler, "_now", staticmethod(lambda: later))
        assert system.http("GET", path, authorizer=OPERATOR).status == 200
        assert operator.run("resume").exit_code == 0
        assert operator.run("circuits").exit_code == 0


def test_provider_down(system: System, operator: Operator, capsys: Output) -> None:
    asset = {"name": "Apple Inc.", "exchange": "XNAS"}
    assert system.http("PUT", "/assets/AAPL", asset, authorizer=FEED).status == 200
    bars = b"symbol,open,high,low,close,volume\nAAPL,100,100,100,100,10\n"
    missing, *others = reversed(sessions_up_to(datetime(2026, 11, 20, tzinfo=UTC).date()))
    for day in others:
        boto3.client("s3").put_object(Bucket=BARS_BUCKET, Key=f"daily/{day}.csv", Body=bars)
    with mock.patch.object(night_function, "utc_now", return_value=datetime(2026, 11, 21, 3, tzinfo=UTC)):
        with pytest.raises(NightlyIngestionFailed, match=str(missing)):
            system.run_night()
        assert logged_metrics(capsys.readouterr().out)["DaysFailed"] == [1]

        boto3.client("s3").put_object(Bucket=BARS_BUCKET, Key=f"daily/{missing}.csv", Body=bars)
        system.run_night()

    assert logged_metrics(capsys.readouterr().out)["DaysFailed"] == [0]
    (feed,) = (row for row in operator.rows("feeds") if row["feed"] == "bars")
    assert feed["last_success"] is not None


def test_poison(system: System, operator: Operator, capsys: Output) -> None:
    poison = "not JSON"
    assert system.invoke_worker(sqs_record(poison, message_id="p")) == {"p"}
    assert logged_metrics(capsys.readouterr().out)["PoisonMessages"] == [1]
    # SQS moves the message after five failed deliveries.
    boto3.client("sqs").send_message(QueueUrl=operator.queues["rebalance-requests-dead"], MessageBody=poison)
    (letter,) = operator.rows("dead-letters", "list")
    assert (letter["queue"], letter["body"]) == ("rebalance-requests", poison)

    removed = operator.run("dead-letters", "delete", "--queue", "rebalance-requests", "--execute")

    assert removed.exit_code == 0, removed.output
    assert operator.run("dead-letters", "list").exit_code == 0


def test_a_message_that_failed_for_a_repaired_reason(system: System, operator: Operator) -> None:
    system.portfolio()
    report = {
        **{"schema_version": 1, "type": "rebalance.requested", "tenant_id": "demo", "request_id": "r", "user_id": "1"},
        "new_allocation": {"stocks": 70, "bonds": 20, "gold": 10},
    }
    boto3.client("sqs").send_message(
        QueueUrl=operator.queues["rebalance-requests-dead"], MessageBody=json.dumps(report)
    )
    assert operator.run("dead-letters", "list").exit_code == 1

    sent = operator.run("dead-letters", "redrive", "--rate", "300", "--execute")

    assert sent.exit_code == 0, sent.output
    assert system.drain_queue() == 1
    assert operator.run("dead-letters", "list").exit_code == 0
    portfolio_id = system.portfolio()["portfolio_id"]
    (rebalance,) = system.http("GET", f"/portfolios/{portfolio_id}/rebalances").json["items"]
    assert rebalance["status"] == "COMPLETED"


def test_table_name_wrong(system: System, operator: Operator, monkeypatch: PATCH) -> None:
    quote(system, 100)
    with monkeypatch.context() as wrong:
        wrong.setenv("MARKET_TABLE", "mraket")
        forget_cached()
        # API Gateway counts the response in 5XXError, which the alarm `api-errors` watches.
        assert system.http("GET", "/quotes/AAPL", authorizer=READER).status == 500

    forget_cached()
    assert system.http("GET", "/quotes/AAPL", authorizer=READER).json["price"] == "100"
    assert operator.run("pending", "jobs").exit_code == 0


def test_wrong_quote(system: System, capsys: Output) -> None:
    quote(system, 100, at=1)
    quote(system, 10_000, at=2)
    assert logged_metrics(capsys.readouterr().out)["QuotesHeld"] == [0, 1]
    shown = system.http("GET", "/quotes/AAPL", authorizer=READER).json
    assert (shown["price"], shown["held"]["price"]) == ("100", "10000")

    withdrawal = {"as_of": shown["held"]["as_of"], "reason": "cents for dollars"}
    withdrawn = system.http("DELETE", "/quotes/AAPL", query=withdrawal, authorizer={**FEED, "subject": "ops"})

    assert withdrawn.status == 200, withdrawn.text
    shown = system.http("GET", "/quotes/AAPL", authorizer=READER).json
    assert (shown["price"], shown["held"]) == ("100", None)
