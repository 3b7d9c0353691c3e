"""Alerts for operators through the real functions: text on the alerts topic, and posts to the webhook."""

import json

import boto3
import pytest

from functions.notifications_on_alert_published import handler as webhook_function
from functions.notifications_on_operator_alert import handler as operator_function
from tests.support.alpaca import Fault
from tests.support.aws_setup import add_secret
from tests.support.notifications import WEBHOOK_SECRET, published_alerts, served_webhook
from tests.support.system import PUBLIC_URL, System, payload, sqs_record

ALERTS = "notifications_on_operator_alert/alerts.json"
PUBLISHED = payload("notifications_on_alert_published/alert_and_alarm.json")["Records"]


def test_an_alert_is_published_as_text_with_a_link_and_again_after_a_crash(system: System) -> None:
    stale = payload(ALERTS)["Records"][4]
    for _ in range(2):
        assert system.invoke_worker(stale, worker=operator_function) == set()
    (subject, text), again = published_alerts()
    assert (subject, text) == again
    assert subject == "Trimtab: Portfolio Jose's growth is stale"
    assert f"\n{PUBLIC_URL}/portfolios/265076e4-f1a0-5d1f-99a9-59a8b0e03f01\n" in text


def test_an_alert_that_sns_refuses_and_an_unreadable_one_return_to_the_queue(system: System) -> None:
    records = payload(ALERTS)["Records"]
    unreadable = sqs_record(records[0]["body"].replace("alert.raised", "alert.lowered"), message_id="unreadable")
    assert system.invoke_worker(records[1], unreadable, worker=operator_function) == {"unreadable"}
    sns = boto3.client("sns")
    sns.delete_topic(TopicArn=sns.list_topics()["Topics"][0]["TopicArn"])
    assert system.invoke_worker(records[0], worker=operator_function) == {records[0]["messageId"]}


@pytest.mark.parametrize("kind", [500, 404, 302, "reset"])
def test_an_alert_that_the_webhook_refuses_returns_to_the_queue_and_is_posted_later(
    system: System, kind: int | str, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    with served_webhook() as webhook:
        webhook.faults.append(Fault("POST", kind, headers={"Location": f"{webhook.url}/elsewhere"}))
        assert system.invoke_worker(PUBLISHED[0], worker=webhook_function) == {PUBLISHED[0]["messageId"]}
        assert system.invoke_worker(PUBLISHED[0], worker=webhook_function) == set()
    assert [path for _, path, _, _ in webhook.requests] == ["/services/T0/B0/key"] * 2
    assert webhook.texts[1].startswith("Trimtab: Portfolio Jose's growth is stale\n")
    assert "/services/" not in caplog.text + capsys.readouterr().out, "the URL is a secret"


@pytest.mark.parametrize("url", ["http://hooks.example.com/x", "ftp://127.0.0.1/x", "hooks.example.com"])
def test_a_webhook_that_is_not_https_gets_nothing(system: System, url: str) -> None:
    add_secret(WEBHOOK_SECRET, url)
    assert system.invoke_worker(PUBLISHED[0], worker=webhook_function) == {PUBLISHED[0]["messageId"]}


def test_the_topic_delivers_the_envelope_that_the_webhook_reads(system: System) -> None:
    sns, sqs = boto3.client("sns"), boto3.client("sqs")
    topic = sns.list_topics()["Topics"][0]["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint="arn:aws:sqs:us-east-1:123456789012:reports")
    assert system.invoke_worker(*payload(ALERTS)["Records"][3:4], worker=operator_function) == set()
    (message,) = sqs.receive_message(QueueUrl=system.reports_url)["Messages"]
    assert json.loads(message["Body"])["Subject"] == "Trimtab: Orders halted by rollbacks"
    with served_webhook() as webhook:
        assert system.invoke_worker(sqs_record(message["Body"]), worker=webhook_function) == set()
    assert "\nAll orders of the tenant are halted: 50 rebalances" in webhook.texts[0]
