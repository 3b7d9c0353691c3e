"""The texts of alerts for operators."""

import json
import re
from typing import Any

import pytest

from tests.support.system import payload
from trimtab.contracts.event_data import DATA, AlertType
from trimtab.contracts.events import CloudEvent
from trimtab.notifications.domain.operator_alerts import MAX_SUBJECT, OperatorAlert, operator_alert, webhook_text

URL = "https://api.example.com/v1"
PORTFOLIO, REBALANCE = "265076e4-f1a0-5d1f-99a9-59a8b0e03f01", "7c1b2a90-3a36-5a4c-9d6e-1f0f6f4b9f0c"
EVENTS = [
    json.loads(record["body"])["detail"] for record in payload("notifications_on_operator_alert/alerts.json")["Records"]
]
LINKS = [
    *(f"/portfolios/{PORTFOLIO}", "/quotes/BRK.B", "/health", "/halt", f"/portfolios/{PORTFOLIO}"),
    *(f"/portfolios/{PORTFOLIO}/rebalances/{REBALANCE}", f"/portfolios/{PORTFOLIO}"),
    *(f"/portfolios/{PORTFOLIO}/rebalances/{REBALANCE}", f"/portfolios/{PORTFOLIO}"),
    *(f"/portfolios/{PORTFOLIO}/contacts", f"/portfolios/{PORTFOLIO}/contacts"),
]


def alert_of(event: Any, **data: Any) -> OperatorAlert:
    """Return the text of an event whose data have these members."""
    return operator_alert(CloudEvent.model_validate({**event, "data": {**event["data"], **data}}), URL)


def test_every_type_of_alert_has_an_example() -> None:
    assert {event["type"] for event in EVENTS} == set(AlertType)
    assert set(AlertType) <= set(DATA)


@pytest.mark.parametrize(("event", "link"), list(zip(EVENTS, LINKS, strict=True)))
def test_an_alert_says_what_happened_what_to_do_and_where(event: Any, link: str) -> None:
    alert = alert_of(event)
    assert re.fullmatch(r"Trimtab: [ -~]+", alert.subject)
    assert len(alert.subject) <= MAX_SUBJECT
    happened, _, remedy, address, _, *ids = alert.text.splitlines()
    assert not happened.startswith("{")
    assert remedy.startswith("What to do: ")
    assert address == URL + link
    listed = dict(line.split(": ", 1) for line in ids)
    assert listed["event"] == f"{event['type']} {event['id']}"
    assert (listed["tenant"], listed["time"]) == (event["tenantid"], "2026-11-21T09:30:01.000000Z")
    names = {"portfolio": "portfolio_id", "rebalance": "rebalance_id", "user": "user_id", "job": "job_id"}
    for name, member in names.items():
        assert listed.get(name) == event["data"].get(member)


def test_the_text_of_a_stale_portfolio() -> None:
    (event,) = (event for event in EVENTS if event["type"] == "portfolio.stale")
    alert = alert_of(event)
    assert alert.subject == "Trimtab: Portfolio Jose's growth is stale"
    assert alert.text.startswith(
        "Portfolio José's growth is stale and refuses trades and rebalances: The outcome of an"
    )
    assert f"POST /portfolios/{PORTFOLIO}/resolve" in alert.text


def test_a_subject_is_one_line_of_ascii_whatever_the_name() -> None:
    (event,) = (event for event in EVENTS if event["type"] == "portfolio.stale")
    assert alert_of(event, name="Ünï\r\nBcc: x\x00").subject == "Trimtab: Portfolio Uni Bcc: x is stale"
    long = alert_of(event, name="n" * 200).subject
    assert (len(long), long[-4:]) == (100, "n...")
    assert alert_of(event, name="株").subject == "Trimtab: Portfolio is stale"


def test_another_event_is_refused() -> None:
    with pytest.raises(ValueError, match=r"trade\.recorded"):
        alert_of({**EVENTS[0], "type": "trade.recorded"})


def test_a_webhook_gets_escaped_text_and_the_reason_of_an_alarm() -> None:
    assert webhook_text("A & B", "<!channel> stale") == "A &amp; B\n&lt;!channel&gt; stale"
    assert webhook_text(None, '{"rule": 1}') == '{"rule": 1}'
    alarm = {
        "AlarmDescription": "mails-dead holds a message.",
        "NewStateValue": "ALARM",
        "NewStateReason": "1.0 >= 1.0",
    }
    assert webhook_text("ALARM", json.dumps(alarm)) == "ALARM\nmails-dead holds a message.\n1.0 &gt;= 1.0"


def test_a_webhook_gets_the_end_of_an_alarm_without_the_text_of_the_failure() -> None:
    alarm = {"AlarmDescription": "mails-dead holds a message.", "NewStateValue": "OK", "NewStateReason": "0.0 < 1.0"}
    assert webhook_text('OK: "mails"', json.dumps(alarm)) == 'OK: "mails"\nThe alarm is over.\n0.0 &lt; 1.0'
