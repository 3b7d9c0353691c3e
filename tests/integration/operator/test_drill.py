"""A drill in-process: each failure shows itself, the runbook's remedy is taken, and all is well again."""

import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from unittest import mock
from urllib.parse import parse_qsl, urlsplit

import boto3
import pytest
from aws_lambda_powertools.utilities.circuit_breaker.base import CircuitBreakerHandler

from functions.market_on_night import handler as night_function
from functions.market_on_night.handler import NightlyIngestionFailed
from tests.support.alpaca import Fault, fake_alpaca
from tests.support.aws_setup import add_secret
from tests.support.drill import delete_poison, repair_missing_bars, repair_open_circuit, withdraw_wrong_quote
from tests.support.logged_metrics import logged_metrics
from tests.support.operator import OPERATOR_SCOPES, Operator
from tests.support.system import BARS_BUCKET, Answer, System, authorized, forget_cached, sqs_record
from tests.support.trading import FEED, account, quote
from trimtab.market.domain.ingested_days import sessions_up_to
from trimtab.runtime.metrics import metrics

PATCH = pytest.MonkeyPatch
READER = authorized(scope="market:read")
OPERATOR = authorized(scope="operator")
EVERY_SCOPE = authorized(scope=f"{OPERATOR_SCOPES} market:read market:write") | {"subject": "ops"}


@dataclass
class InProcessDrill:
    """The drill of the system in this process."""

    system: System
    operator: Operator
    capsys: pytest.CaptureFixture[str]
    output: str = ""

    def call(self, method: str, path: str, body: Any = None) -> Answer:
        """Return the response of the handler."""
        parts = urlsplit(path)
        query = dict(parse_qsl(parts.query))
        return self.system.http(method, parts.path, body, query=query or None, authorizer=EVERY_SCOPE)

    def trimtab(self, *arguments: str) -> tuple[int, str]:
        """Run a command of the operator."""
        result = self.operator.run(*arguments)
        return result.exit_code, result.stdout

    def rows(self, *arguments: str) -> Any:
        """Run a command with `--json`."""
        return self.operator.rows(*arguments)

    def see(self, metric: str) -> None:
        """Assert that the metric was logged above zero."""
        if metrics.metric_set:
            metrics.flush_metrics()
        self.output += self.capsys.readouterr().out
        assert sum(logged_metrics(self.output)[metric]) > 0


@pytest.fixture
def drill(system: System, operator: Operator, capsys: pytest.CaptureFixture[str]) -> InProcessDrill:
    """Provide the drill of a new system."""
    metrics.clear_metrics()
    return InProcessDrill(system, operator, capsys)


def test_broker_down(system: System, drill: InProcessDrill, monkeypatch: PATCH) -> None:
    path = f"{account(system).home}/broker"
    add_secret("alpaca", '{"key_id": "key-1", "secret_key": "secret-1"}')
    with fake_alpaca() as alpaca:
        settings = {"BROKER": "alpaca", "ALPACA_BASE_URL": alpaca.url, "ALPACA_SECRET_ID": "alpaca"}
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        forget_cached()
        alpaca.faults.append(Fault("GET", 500, times=15))  # each call tries three times
        answers = [system.http("GET", path, authorizer=OPERATOR).status for _ in range(5)]
        assert answers == [503] * 5

        def wait() -> None:
            later = int(time.time()) + 31
            monkeypatch.setattr(CircuitBreakerHandler, "_now", staticmethod(lambda: later))

        def retry() -> None:
            assert system.http("GET", path, authorizer=OPERATOR).status == 200

        repair_open_circuit(drill, wait, retry)


def test_provider_down(system: System, drill: InProcessDrill) -> None:
    asset = {"name": "Apple Inc.", "exchange": "XNAS"}
    assert system.http("PUT", "/assets/AAPL", asset, authorizer=FEED).status == 200
    bars = b"symbol,open,high,low,close,volume\nAAPL,100,100,100,100,10\n"
    missing, *others = reversed(sessions_up_to(datetime(2026, 11, 20, tzinfo=UTC).date()))
    for day in others:
        boto3.client("s3").put_object(Bucket=BARS_BUCKET, Key=f"daily/{day}.csv", Body=bars)

    def run_night() -> bool:
        try:
            return system.run_night()["days"] > 0
        except NightlyIngestionFailed as failed:
            return str(missing) not in str(failed)

    def repair() -> None:
        boto3.client("s3").put_object(Bucket=BARS_BUCKET, Key=f"daily/{missing}.csv", Body=bars)

    with mock.patch.object(night_function, "utc_now", return_value=datetime(2026, 11, 21, 3, tzinfo=UTC)):
        repair_missing_bars(drill, run_night, repair)


def test_poison(system: System, operator: Operator, drill: InProcessDrill) -> None:
    poison = "not JSON"
    assert system.invoke_worker(sqs_record(poison, message_id="p")) == {"p"}
    # SQS moves the message after five failed deliveries.
    boto3.client("sqs").send_message(QueueUrl=operator.queues["rebalance-requests-dead"], MessageBody=poison)
    delete_poison(drill, poison)


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


def test_wrong_quote(system: System, drill: InProcessDrill) -> None:
    times = iter((1, 2))
    withdraw_wrong_quote(drill, "AAPL", lambda price: quote(system, price, at=next(times)))
