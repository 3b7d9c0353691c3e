"""The situations of the business alarms, through the real handlers: each writes the metric that its alarm watches."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from unittest import mock

import boto3
import pytest

from functions.balancing_on_check_requested import handler as check_function
from functions.execution_on_execution_requested import handler as execution_function
from functions.market_on_night import handler as night_function
from functions.market_on_night.handler import NightlyIngestionFailed
from functions.notifications_on_operator_alert import handler as operator_function
from tests.support.balancing import balanced
from tests.support.logged_metrics import logged_metrics
from tests.support.moto_state import fast_transactions
from tests.support.system import BARS_BUCKET, System, payload, sqs_record
from tests.support.trading import FEED, quote
from tests.support.webhooks import an_event, create_webhook, delivery_run, log_events, receiving
from trimtab.contracts.messages import CheckRequested
from trimtab.market.domain.ingested_days import sessions_up_to

Output = pytest.CaptureFixture[str]
NIGHT = datetime(2026, 11, 21, 3, tzinfo=UTC)
BARS = "symbol,open,high,low,close,volume\nAAPL,100,100,100,100,10\n"


@pytest.fixture
def night(system: System) -> Iterator[System]:
    """Set the clock to 03:00 UTC after a session, with the files of the last ten sessions of an asset."""
    asset = {"name": "Apple Inc.", "exchange": "XNAS"}
    assert system.http("PUT", "/assets/AAPL", asset, authorizer=FEED).status == 200
    for day in sessions_up_to(NIGHT.date()):
        boto3.client("s3").put_object(Bucket=BARS_BUCKET, Key=f"daily/{day}.csv", Body=BARS.encode())
    with mock.patch.object(night_function, "utc_now", return_value=NIGHT):
        yield system


def test_a_held_price_is_counted(system: System, capsys: Output) -> None:
    quote(system, 100, at=1)
    quote(system, 10_000, at=2)

    assert logged_metrics(capsys.readouterr().out)["QuotesHeld"] == [0, 1]


def test_a_check_that_waited_writes_its_wait_as_the_watch_lag(system: System, capsys: Output) -> None:
    portfolio_id = system.portfolio("1", {"AAPL": 100})["portfolio_id"]
    message = CheckRequested(tenant_id="demo", portfolio_id=portfolio_id, trigger="change")
    sent = int(datetime.now(UTC).timestamp() * 1000) - 400_000

    record = sqs_record(message.model_dump_json(exclude_none=True), SentTimestamp=str(sent))
    assert system.invoke_worker(record, worker=check_function) == set()

    (lag,) = logged_metrics(capsys.readouterr().out)["WatchLag"]
    assert lag >= 400


def test_a_message_from_a_clock_that_is_ahead_has_no_negative_lag(system: System, capsys: Output) -> None:
    portfolio_id = system.portfolio("1", {"AAPL": 100})["portfolio_id"]
    message = CheckRequested(tenant_id="demo", portfolio_id=portfolio_id, trigger="change")
    sent = int(datetime.now(UTC).timestamp() * 1000) + 3_600_000

    record = sqs_record(message.model_dump_json(exclude_none=True), SentTimestamp=str(sent))
    assert system.invoke_worker(record, worker=check_function) == set()

    assert logged_metrics(capsys.readouterr().out)["WatchLag"] == [0]


def test_a_rebalance_that_is_rolled_back_is_counted(
    system: System, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    with fast_transactions():
        mine = balanced(system)
        monkeypatch.setenv(
            "PAPER_SCENARIO", json.dumps([{"match": {"symbol": "MSFT", "nth": 1}, "refuse": "not today"}])
        )
        execution_function.execution_worker.cache_clear()
        mine.move(AAPL=140)

    assert logged_metrics(capsys.readouterr().out)["RebalanceRolledBack"] == [1]


def test_a_night_without_the_bars_of_a_session_is_counted_though_it_fails(night: System, capsys: Output) -> None:
    boto3.client("s3").delete_object(Bucket=BARS_BUCKET, Key="daily/2026-11-20.csv")

    with pytest.raises(NightlyIngestionFailed):
        night.run_night()

    assert logged_metrics(capsys.readouterr().out)["DaysFailed"] == [1]


def test_a_complete_night_writes_its_zero_so_that_silence_is_noticed(night: System, capsys: Output) -> None:
    night.run_night()

    assert logged_metrics(capsys.readouterr().out)["DaysFailed"] == [0]


def test_an_alert_for_operators_is_counted(system: System, capsys: Output) -> None:
    alert = payload("notifications_on_operator_alert/alerts.json")["Records"][4]
    assert system.invoke_worker(alert, worker=operator_function) == set()

    assert logged_metrics(capsys.readouterr().out)["OperatorAlerts"] == [1]


def test_a_refused_delivery_to_a_webhook_is_counted(system: System, capsys: Output) -> None:
    with receiving() as receiver, delivery_run(system) as run:
        create_webhook(system, receiver.url)
        receiver.answer = lambda _: 410
        log_events(system, an_event(1))
        run.finish()

    assert sum(logged_metrics(capsys.readouterr().out)["WebhookFailures"]) == 1
